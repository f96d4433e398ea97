// The field that shows the distribution of the next character while the user types.

import { get, Problem } from "./api.js";
import { $, bar, h, letter, percent } from "./dom.js";

const SHOWN = 8;
let source = () => null;
let running = null;

export function start(which) {
  source = which;
  $("watched").addEventListener("input", refresh);
}

export async function refresh() {
  const from = source();
  if (!from) return;
  running?.abort();
  running = new AbortController();
  try {
    const { characters } = await get("next", { ...from, prefix: $("watched").value }, running.signal);
    $("watched-wrong").textContent = "";
    $("watched").removeAttribute("aria-invalid");
    $("chances").replaceChildren(...characters.slice(0, SHOWN).map(row));
  } catch (error) {
    if (!(error instanceof Problem)) return;
    $("watched-wrong").textContent = error.fields.length ? `Must be ${error.fields[0].allowed}.` : error.message;
    $("watched").setAttribute("aria-invalid", "true");
  }
}

function row({ character, probability }) {
  const add = () => {
    $("watched").value += character;
    $("watched").focus();
    refresh();
  };
  const name =
    character === "."
      ? h("span", { class: "letter" }, "end")
      : h("button", { type: "button", class: "letter", "aria-label": `Add ${letter(character)}`, on: { click: add } }, letter(character));
  return h("li", {}, name, bar(probability), h("span", { class: "odds" }, percent(probability)));
}
