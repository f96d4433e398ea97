// The graph as a picture: operations as circles, values as boxes. Where things stand was worked out by the service.

import { sign, told } from "./graph_words.js";

const SVG = "http://www.w3.org/2000/svg";
const FITS = 13;
const MOTION = matchMedia("(prefers-reduced-motion: reduce)");

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Draw an answer of /lab/graph into `box`; return what shows a stage of backward there. */
export function draw(box, { nodes, lines, sizes }) {
  const { width, height } = sizes;
  const picture = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "graph-picture" });
  picture.setAttribute("aria-label", `${nodes.length} values, from the leaves on the left to the result on the right; the table below says the same.`);
  const wires = lines.map((line) => s("path", { d: path(line.points), class: "graph-wire" }));
  const values = nodes.map((node) => valueBox(node, sizes));
  picture.append(...wires, ...values.map((value) => value.group));
  box.replaceChildren(picture);
  return (stage) => show(stage, { box, nodes, lines, sizes, wires, values });
}

/** A line bends to its second point, is straight to its third, and so on by turns. */
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
  const rows = [s("text", {}, `data ${told(node.data)}`), grad];
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

const short = (label) => (label.length > FITS ? `${label.slice(0, FITS - 1)}…` : label);

/** Show the gradients of a stage, who is at work (`now`), and who gets something from it (`fed`). */
function show({ grads, known, now, fed, done }, { box, nodes, lines, sizes, wires, values }) {
  values.forEach(({ group, grad }, id) => {
    grad.textContent = `grad ${told(grads[id])}`;
    group.classList.toggle("graph-now", id === now);
    group.classList.toggle("graph-fed", fed.has(id));
    group.classList.toggle("graph-known", known.has(id));
    group.classList.toggle("graph-done", done.has(id));
  });
  wires.forEach((wire, i) => wire.classList.toggle("graph-lit", lines[i].end === now));
  if (now === null) return;
  const left = nodes[now].x - sizes.reach - box.clientWidth / 2;
  const top = nodes[now].y - box.clientHeight / 2;
  box.scrollTo({ left, top, behavior: MOTION.matches ? "auto" : "smooth" });
}
