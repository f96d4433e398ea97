// The selects of the form for styles, such as gender: one for each style that the chosen models know.

import { control, h } from "./dom.js";

let known = new Map();

/** Remember the styles of each model, from /models. */
export function remember(models) {
  known = new Map(models.map(({ model, styles }) => [model, styles]));
}

/** Offer the styles of some models, keep what is chosen, and hide the group where there are none. */
export function offer(models) {
  const styles = {};
  for (const model of models) {
    for (const [style, values] of Object.entries(known.get(model) ?? {})) {
      styles[style] = [...new Set([...(styles[style] ?? []), ...values])];
    }
  }
  const before = chosen();
  control("style-choices").replaceChildren(...Object.entries(styles).map(([style, values]) => choice(style, values, before[style])));
  control("style").hidden = !Object.keys(styles).length;
}

function choice(style, values, value) {
  const options = [["", `any ${style}`], ...values.map((each) => [each, each])];
  const select = h("select", { id: `o-style-${style}`, data: { style } }, ...options.map(([each, text]) => h("option", { value: each }, text)));
  if (values.includes(value)) select.value = value;
  return h("div", {}, h("label", { for: select.id }, style[0].toUpperCase() + style.slice(1)), select);
}

const selects = () => [...control("style-choices").querySelectorAll("select")];

/** The chosen values by style, without styles that are left open. */
export const chosen = () => Object.fromEntries(selects().filter(({ value }) => value).map(({ dataset, value }) => [dataset.style, value]));

/** Choose values, and leave the other styles open. */
export function choose(values) {
  for (const select of selects()) select.value = values[select.dataset.style] ?? "";
}

/** A style as a link writes it, and back. */
export const text = (style) => Object.entries(style).map((pair) => pair.join(":")).join(",");
export const parse = (style) => Object.fromEntries((style ?? "").split(",").filter(Boolean).map((part) => part.split(":")));
