// Numbers as a small picture: one square each, its colour the sign, its strength the size.

import { h } from "../../playground/dom.js";

// Seen well on light and dark alike; pale is the background's own colour.
const [UP, DOWN] = [[13, 148, 136], [217, 112, 20]];

/** A picture of `values`, `columns` in a row; `scale` is the size that has full strength. It has no words of its own. */
export function heat(values, scale, columns) {
  const rows = Math.ceil(values.length / columns);
  const canvas = h("canvas", { class: "heat", width: columns, height: rows, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  values.forEach((value, i) => {
    picture.data.set([...(value < 0 ? DOWN : UP), Math.min(255, Math.round((255 * Math.abs(value)) / scale))], 4 * i);
  });
  context.putImageData(picture, 0, 0);
  return canvas;
}
