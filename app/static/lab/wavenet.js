// The WaveNet page: the tree of pairs over a name, with the activations of every node and the prediction. The numbers
// of the served model come from GET /lab/wavenet.

import { get, Problem } from "../../playground/api.js";
import { fill, h, letter, percent } from "../../playground/dom.js";
import { draw, share, stretched } from "./charts.js";
import { mapped } from "./embedding.js";
import { heat } from "./heat.js";

const GUESSES = 5;
const FIRST = "marnabe";
const POINT = "Point at a node, or reach it with Tab, to see what it sees.";
let [running, page] = [null, null];

export async function show(root) {
  if (root.childElementCount) return;
  const model = h("select", { id: "wavenet-model" });
  const name = h("input", { id: "wavenet-name", autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: "64", value: FIRST, "aria-describedby": "wavenet-wrong wavenet-unseen" });
  const parts = ["wrong", "status", "tree", "explanation", "map"].map((part) => [part, h("div", { id: `wavenet-${part}` })]);
  page = { model, name, ...Object.fromEntries(parts) };
  page.wrong.className = "wrong";
  page.explanation.className = "hint explanation";
  page.unseen = h("p", { class: "hint", id: "wavenet-unseen" });
  const field = (label, input, ...more) => h("div", { class: "knob" }, h("label", { for: input.id }, label), input, ...more);
  root.replaceChildren(
    h("h1", {}, "How WaveNet sees"),
    h("p", { class: "lead" }, "A WaveNet joins neighbours two by two, then the pairs, then the pairs of pairs. Read it from the bottom up: characters, nodes that join two inputs each, and at the top the next character."),
    h("form", { class: "panel asks", "aria-label": "The name and the model", on: { submit: (event) => event.preventDefault() } }, field("Model", model), field("Type a name, or its beginning", name, page.wrong), page.unseen),
    h("section", { class: "panel", "aria-labelledby": "tree-title" }, h("h2", { id: "tree-title" }, "The tree of pairs"), legend(), h("div", { class: "scroll" }, page.tree), page.explanation),
    h("section", { class: "panel", "aria-labelledby": "map-title" }, h("h2", { id: "map-title" }, "Where the characters are"), page.map),
  );
  name.addEventListener("input", refresh);
  model.addEventListener("input", refresh);
  const { models } = await get("models");
  const trees = models.filter(({ architecture }) => architecture === "wavenet").map(({ model: each }) => [each, each]);
  fill(model, trees);
  model.value = trees.findLast(([each]) => each.startsWith("human/"))?.[0] ?? trees[0]?.[0];
  await refresh();
}

const legend = () =>
  h("p", { class: "hint" }, "Each square is one number of a node: ", h("span", { class: "swatch up" }), " positive, ", h("span", { class: "swatch down" }), " negative, pale is near zero.");

async function refresh() {
  running?.abort();
  running = new AbortController();
  try {
    const seen = await get("lab/wavenet", { model: page.model.value, name: page.name.value }, running.signal);
    page.wrong.textContent = "";
    page.name.removeAttribute("aria-invalid");
    stale(false);
    showTree(seen);
    page.map.replaceChildren(...mapped(seen));
  } catch (error) {
    if (!(error instanceof Problem)) {
      if (error.name === "AbortError") return;
      throw error;
    }
    page.wrong.textContent = error.fields.length ? `Must be ${error.fields[0].allowed}.` : error.message;
    page.name.setAttribute("aria-invalid", "true");
    stale(true);
  }
}

/** Mark the tree as that of the previous name. */
const stale = (isSo) => page.tree.classList.toggle("stale", isSo);

const shown = (character) => (character === "." ? "·" : character === " " ? "␣" : character);

function showTree(seen) {
  const { window: places, layers, name, unseen, activation } = seen;
  const size = places.length;
  page.unseen.textContent = unseen ? `It sees the last ${size} characters. “${unseen}” lies before them and has no influence on the next character.` : `It sees ${size} characters; the places before the name hold end tokens (·).`;
  const text = (first, last) => places.slice(first, last + 1).map((place) => shown(place.character)).join("");
  const largest = (rows) => Math.max(1e-9, ...rows.flatMap(({ values }) => values.map(Math.abs)));
  const nodes = [];
  const add = (node, first, last, explanation) => {
    node.style.gridColumn = `${first + 1} / ${last + 2}`;
    nodes.push({ node, first, last });
    const point = () => highlight(nodes, first, last, explanation);
    for (const event of ["pointerenter", "focusin", "click"]) node.addEventListener(event, point);
    for (const event of ["pointerleave", "focusout"]) node.addEventListener(event, () => clearHighlight(nodes));
    return node;
  };
  const rows = [add(guesses(seen), 0, size - 1, `The prediction sees all ${size} places: “${text(0, size - 1)}”.`), fork(nodes, 0, size - 1, false)];
  [...layers].reverse().forEach((layer, k) => {
    const depth = layers.length - k;
    const scale = activation === "tanh" ? 1 : largest(layer);
    layer.forEach(({ first, last, values }) => {
      const middle = (first + last + 1) / 2;
      const explanation = `Layer ${depth} joins “${text(first, middle - 1)}” and “${text(middle, last)}”: it sees ${last - first + 1} characters. ${figures(values, activation)}`;
      rows.push(add(h("button", { type: "button", class: "node", "aria-label": explanation }, heat(values, scale, 16)), first, last, explanation));
    });
    layer.forEach(({ first, last }) => rows.push(fork(nodes, first, last, true)));
  });
  const scale = largest(places);
  places.forEach(({ character, values }, i) => {
    const what = character === "." ? "no character: before the name" : `“${letter(character)}”`;
    const explanation = `Place ${i + 1} of ${size}: ${what}. ${values.length} numbers represent it.`;
    rows.push(add(h("button", { type: "button", class: "node leaf", "aria-label": explanation }, h("strong", {}, shown(character)), heat(values, scale, 4)), i, i, explanation));
  });
  page.tree.className = "tree";
  page.tree.style.setProperty("--places", String(size));
  page.tree.replaceChildren(...rows);
  page.tree.dataset.name = name;
  page.explanation.textContent = POINT;
}

function figures(values, activation) {
  const flat = values.filter((value) => (activation === "tanh" ? Math.abs(value) > 0.97 : value === 0)).length;
  return `Of its ${values.length} numbers ${share(flat / values.length)} are ${activation === "tanh" ? "at tanh's ends" : "zero"}.`;
}

/** The likeliest next characters; a click appends one to the name. */
function guesses({ characters }) {
  const write = (character) => {
    page.name.value += character;
    refresh();
    page.name.focus();
  };
  const one = ({ character, probability }) => {
    const inside = [h("strong", {}, letter(character)), percent(probability)];
    return character === "." ? h("span", { class: "guess" }, ...inside) : h("button", { type: "button", class: "guess", "aria-label": `Add ${letter(character)}, ${percent(probability)}`, on: { click: () => write(character) } }, ...inside);
  };
  return h("div", { class: "node guesses", role: "group", "aria-label": "What comes next" }, h("span", { class: "hint" }, "next:"), ...characters.slice(0, GUESSES).map(one));
}

/** The lines from a node down to its two inputs, or to the only one. */
function fork(nodes, first, last, splits) {
  const lines = stretched(100, 20, "", draw("path", { d: splits ? "M25 20L50 0L75 20" : "M50 20V0", class: "fork" }));
  lines.style.gridColumn = `${first + 1} / ${last + 2}`;
  nodes.push({ node: lines, first, last });
  return lines;
}

function highlight(nodes, first, last, explanation) {
  for (const each of nodes) {
    const inside = each.first >= first && each.last <= last;
    each.node.classList.toggle("lit", inside);
    each.node.classList.toggle("dim", !inside);
  }
  page.explanation.textContent = explanation;
}

function clearHighlight(nodes) {
  for (const { node } of nodes) node.classList.remove("lit", "dim");
  page.explanation.textContent = POINT;
}
