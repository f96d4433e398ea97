// Small pictures: SVG elements, rows of histograms, bars, a curve. The text beside each one is its alternative.

import { h, percent } from "../../playground/dom.js";

/** Make an SVG element with attributes and children. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A picture that stretches to its container; it holds shapes only. Without a label it is decorative. */
export const stretched = (width, height, label, ...children) =>
  draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) }, ...children);

/** A histogram. `hot` selects the bins in the warning colour; the other bins set the scale, or a quarter of the highest. */
export function bars(counts, label, hot = () => false) {
  const cool = counts.filter((_, i) => !hot(i));
  const top = Math.max(...cool, Math.max(...counts) / 4, 1e-9);
  const paths = ["", ""];
  counts.forEach((count, i) => {
    const height = Math.min(100, (count / top) * 100);
    if (height > 0) paths[Number(hot(i))] += `M${i} 100V${100 - Math.max(height, 1)}h1V100z`;
  });
  const middle = draw("path", { d: `M${counts.length / 2} 0V100`, class: "guide" });
  return stretched(counts.length, 100, label, middle, draw("path", { d: paths[0], class: "cool" }), draw("path", { d: paths[1], class: "hot" }));
}

/** A bar of this share on a track with a mark at `guide`. */
export function gauge(share, guide, hot, label) {
  const length = Number.isNaN(share) ? 100 : Math.min(1, Math.max(0.005, share)) * 100;
  return stretched(100, 10, label, draw("path", { d: "M0 5H100", class: "guide" }), draw("path", { d: `M0 2H${length}V8H0z`, class: hot ? "hot" : "cool" }), draw("path", { d: `M${guide * 100} 0V10`, class: "mark" }));
}

/** A list item: its name, its picture, and its figures below each other. */
export const row = (name, picture, ...figures) =>
  h("li", {}, h("span", { class: "which" }, name), picture, h("span", { class: "odds" }, ...figures.map((figure) => h("span", {}, figure))));

/** The ends and the middle of an axis, below the pictures of rows. */
export const axis = (...marks) => h("div", { class: "axis", "aria-hidden": "true" }, ...marks.map((mark) => h("span", {}, mark)));

/** A curve of values, with a dashed line at `level` and its name on it; between `low` and the highest value. */
export function curve(values, level, name, low, label, least = 100) {
  const high = Math.max(level + 0.3, ...values.filter(Number.isFinite)) * 1.03;
  const y = (value) => 100 - (Math.min(high, Math.max(low, value)) - low) / (high - low) * 100;
  const x = (i) => (i / Math.max(least, values.length - 1)) * 100;
  const points = values.map((value, i) => (Number.isFinite(value) ? `${x(i).toFixed(2)} ${y(value).toFixed(2)}` : null));
  const line = points.filter((point) => point !== null).join("L");
  const picture = stretched(100, 100, label, draw("path", { d: `M0 ${y(level)}H100`, class: "mark" }), draw("path", { d: `M${line}`, class: "line" }));
  const levelLabel = h("span", { class: "level", "aria-hidden": "true" }, name);
  levelLabel.style.top = `${y(level)}%`;
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const last = values.length - 1;
  dot.style.left = `${x(last)}%`;
  dot.style.top = `${y(Number.isFinite(values[last]) ? values[last] : high)}%`;
  return h("div", { class: "plot" }, picture, levelLabel, dot);
}

/** A number as short as it can be read: 0.63, 0.0013, 4e-7. */
export function short(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return "∞";
  if (size >= 1000 || (size < 0.001 && size > 0)) return value.toExponential(1).replace(".0", "").replace("-", "−");
  return size >= 0.1 || size === 0 ? value.toFixed(2) : value.toPrecision(2).replace(/0+$/, "");
}

/** A share in per cent; none is 0. */
export const share = (value) => (value === 0 ? "0 %" : percent(value));
