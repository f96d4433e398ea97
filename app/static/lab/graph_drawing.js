// The graph as a picture: operations as circles, values as boxes. The service computes all positions.

import { sign, format } from "./graph_words.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_LENGTH = 13;
// The margin, in pixels, around the parts that must be fully visible.
const EDGE = 4;
const MOTION = matchMedia("(prefers-reduced-motion: reduce)");

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Draw an answer of /lab/graph into `box`; return a function that shows a stage of the backward pass. */
export function draw(box, { nodes, lines, sizes }) {
  const { width, height } = sizes;
  const picture = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "graph-picture" });
  picture.setAttribute("aria-label", `${nodes.length} values, from the leaves on the left to the result on the right; the table below has the same content.`);
  const wires = lines.map((line) => s("path", { d: path(line.points), class: "graph-wire" }));
  const values = nodes.map((node) => valueBox(node, sizes));
  picture.append(...wires, ...values.map((value) => value.group));
  box.replaceChildren(picture);
  return (stage) => show(stage, { box, nodes, lines, sizes, wires, values });
}

/** A line curves to its second point, is straight to its third, and so on alternately. */
function path(points) {
  return points.reduce((drawn, [x, y], i) => {
    if (i === 0) return `M${x} ${y}`;
    if (i % 2 === 0) return `${drawn}H${x}`;
    const [fromX, fromY] = points[i - 1];
    const middle = (fromX + x) / 2;
    return `${drawn}C${middle} ${fromY} ${middle} ${y} ${x} ${y}`;
  }, "");
}

function valueBox(node, sizes) {
  const { box_width: w, box_height: h, radius, reach } = sizes;
  const grad = s("text", { class: "graph-grad" });
  const rows = [s("text", {}, `data ${format(node.data)}`), grad];
  if (node.label) rows.unshift(s("text", { class: "graph-label" }, short(node.label)));
  rows.forEach((row, i) => {
    row.setAttribute("x", node.x);
    row.setAttribute("y", node.y + 4 + (i - (rows.length - 1) / 2) * 17);
  });
  const group = s("g", { class: "graph-value" }, s("rect", { x: node.x - w / 2, y: node.y - h / 2, width: w, height: h, rx: 8 }));
  if (node.operation) {
    const x = node.x - reach;
    const text = s("text", { x, y: node.y + 4.5, class: "graph-sign" }, sign(node));
    if (sign(node).length > 4) {
      text.setAttribute("textLength", 2 * radius - 6);
      text.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
    group.append(
      s("path", { d: `M${x + radius} ${node.y}H${node.x - w / 2}`, class: "graph-wire" }),
      s("circle", { cx: x, cy: node.y, r: radius }),
      text,
    );
  }
  group.append(...rows);
  return { group, grad };
}

const short = (label) => (label.length > MAX_LENGTH ? `${label.slice(0, MAX_LENGTH - 1)}…` : label);

/** Show the gradients of a stage, the active value (`now`), and the values that receive gradient from it (`fed`). */
function show({ grads, known, now, fed, done }, { box, nodes, lines, sizes, wires, values }) {
  values.forEach(({ group, grad }, id) => {
    grad.textContent = `grad ${format(grads[id])}`;
    group.classList.toggle("graph-now", id === now);
    group.classList.toggle("graph-fed", fed.has(id));
    group.classList.toggle("graph-known", known.has(id));
    group.classList.toggle("graph-done", done.has(id));
  });
  wires.forEach((wire, i) => wire.classList.toggle("graph-lit", lines[i].end === now));
  if (now === null) return;
  const [left, top] = scrollPosition(box, parts(nodes, now, fed, sizes));
  box.scrollTo({ left, top, behavior: MOTION.matches ? "auto" : "smooth" });
}

/** The boxes of a step as [left, top, right, bottom], the most important first: the operation, the receiving values
 *  from the nearest on, and the active value. */
function parts(nodes, now, fed, { box_width: w, box_height: h, radius, reach }) {
  const around = ({ x, y }, across, along) => [x - across, y - along, x + across, y + along];
  const at = nodes[now];
  const boxes = [...fed].map((id) => nodes[id]).sort((a, b) => b.x - a.x);
  const circle = around({ x: at.x - reach, y: at.y }, radius, radius);
  return [circle, ...[...boxes, at].map((node) => around(node, w / 2, h / 2))];
}

/** The scroll position of `box` at which as many parts as fit are fully visible. */
function scrollPosition(box, [first, ...others]) {
  const room = [box.clientWidth - 2 * EDGE, box.clientHeight - 2 * EDGE];
  const [left, top, right, bottom] = others.reduce((seen, part) => {
    const all = part.map((value, i) => (i < 2 ? Math.min : Math.max)(value, seen[i]));
    return all[2] - all[0] > room[0] || all[3] - all[1] > room[1] ? seen : all;
  }, first);
  return [(left + right - box.clientWidth) / 2, (top + bottom - box.clientHeight) / 2];
}
