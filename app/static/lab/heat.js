// Numbers as a picture of small squares: the colour shows the sign, the opacity the size.

import { h } from "../../playground/dom.js";

// Both colours are clear on light and on dark backgrounds.
const [UP, DOWN] = [[13, 148, 136], [217, 112, 20]];

/** A picture of `values`, `columns` in a row; `scale` is the size with full opacity. It has no text alternative. */
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
