// The computation graph's page: an expression, its graph, and its backward pass step by step. The service parses and
// computes the expression (POST /lab/graph); `graph_drawing` draws the graph, and `graph_words` explains the steps.

import { Problem, post } from "../../playground/api.js";
import { h } from "../../playground/dom.js";

import { draw } from "./graph_drawing.js";
import { addition, equation, format, formula, nameOf, rule } from "./graph_words.js";

const EXAMPLES = [
  ["A neuron", "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; n = x1*w1 + x2*w2 + b; o = tanh(n)"],
  ["A value used twice", "a = 3; b = a + a; c = b * a"],
  ["A saturated tanh", "x = 1.5; w = 4; b = 1; o = tanh(w*x + b)"],
  ["A relu that is off", "x = 2; w = -1; y = relu(w*x); loss = (y - 1)**2"],
  ["Loss of a guess", "z1 = 1; z2 = 0.5; z3 = -1; p = exp(z1) / (exp(z1) + exp(z2) + exp(z3)); loss = -log(p)"],
];
const NOTHING = new Set();

/** Fill `root` with the page; on later calls, only compute the expression of the address: #/graph?e=... */
export async function show(root) {
  const given = new URLSearchParams(location.hash.split("?")[1]).get("e");
  if (!root.childElementCount) build(root);
  else if (given === null || given === root.querySelector("textarea").value) return;
  const field = root.querySelector("textarea");
  field.value = given ?? EXAMPLES[0][1];
  await root.compute();
}

function build(root) {
  const page = parts();
  root.replaceChildren(
    h("h1", {}, "Computation graph"),
    h(
      "p",
      { class: "lead" },
      "Every number remembers its operands. Backpropagation goes back from the result, one value at a time, and computes how fast the result changes with each of them.",
    ),
    page.form,
    page.panel,
  );
  root.compute = () => compute(page);
  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    compute(page);
  });
  page.field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    compute(page);
  });
}

function parts() {
  const page = { running: null, at: 0, stages: [] };
  page.field = h("textarea", {
    id: "graph-expression",
    rows: 3,
    maxlength: 200,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "graph-hint graph-wrong",
  });
  page.wrong = h("p", { class: "wrong", id: "graph-wrong", role: "alert" });
  page.marked = h("p", { class: "graph-marked", hidden: true });
  page.form = form(page);
  page.box = scrolled("The graph", "graph-box");
  page.count = h("span", { class: "graph-count" });
  page.explanation = h("div", { class: "graph-explanation", role: "status" });
  page.additions = scrolled("The step as a table");
  page.values = scrolled("The values as a table");
  page.buttons = [
    button("Start over", () => go(page, 0)),
    button("Step back", () => go(page, page.at - 1)),
    button("Next", () => go(page, page.at + 1), "graph-next"),
    button("All", () => go(page, page.stages.length - 1)),
  ];
  page.panel = h(
    "section",
    { class: "panel graph-panel", "aria-labelledby": "graph-backward", hidden: true },
    h("div", { class: "heading" }, h("h2", { id: "graph-backward" }, "Backward"), page.count),
    h("div", { class: "tools graph-steps", role: "group", "aria-label": "Steps backward" }, ...page.buttons),
    page.explanation,
    page.box,
    page.additions,
    h("details", { class: "graph-all" }, h("summary", {}, "All values as a table"), page.values),
  );
  return page;
}

function form(page) {
  const choose = (text) => () => {
    page.field.value = text;
    compute(page);
  };
  return h(
    "form",
    { class: "panel graph-form", "aria-label": "An expression", novalidate: true },
    h("label", { for: "graph-expression" }, "Expression"),
    page.field,
    h("p", { class: "hint", id: "graph-hint" }, "Numbers, names, + - * / **, parentheses, exp, log, tanh, relu; a semicolon between statements. At most 200 characters."),
    page.wrong,
    page.marked,
    h("button", { type: "submit", class: "primary graph-show" }, "Show the graph"),
    h(
      "div",
      { class: "tools", role: "group", "aria-label": "Examples" },
      h("span", { class: "hint graph-examples" }, "Or try:"),
      ...EXAMPLES.map(([name, text]) => button(name, choose(text), "small")),
    ),
  );
}

/** A container that scrolls by itself, also with the keyboard, if its content is wider than the screen. */
const scrolled = (name, kind = "scroll") => h("div", { class: kind, tabindex: 0, role: "region", "aria-label": name });

const button = (text, click, kind = "") => h("button", { type: "button", class: kind || undefined, on: { click } }, text);

async function compute(page) {
  page.running?.abort();
  const running = (page.running = new AbortController());
  const expression = page.field.value;
  try {
    const graph = await post("lab/graph", { expression }, running.signal);
    clearError(page);
    page.graph = graph;
    page.stages = stages(graph);
    page.panel.hidden = false;
    page.show = draw(page.box, graph);
    page.box.scrollTo({ left: 0, top: 0 });
    go(page, 0);
    // Another page may have been opened meanwhile.
    if (location.hash.startsWith("#/graph")) history.replaceState(null, "", `#/graph?e=${encodeURIComponent(expression)}`);
  } catch (error) {
    if (error instanceof Problem && page.running === running) showError(page, error, expression);
    else if (error.name !== "AbortError") throw error;
  }
}

function clearError(page) {
  page.wrong.textContent = "";
  page.marked.hidden = true;
  page.field.removeAttribute("aria-invalid");
  page.panel.classList.remove("graph-stale");
}

/** Show the error and mark the character. The service counts code points, not UTF-16 units. */
function showError(page, problem, expression) {
  const position = problem.fields[0]?.position;
  page.wrong.textContent = problem.message.replace(/^expression, (.)/, (_, first) => first.toUpperCase());
  page.field.setAttribute("aria-invalid", "true");
  page.panel.classList.add("graph-stale");
  page.count.textContent = "Previous expression";
  page.marked.hidden = position === undefined;
  if (position === undefined) return;
  const characters = [...expression];
  const at = characters[position - 1];
  page.marked.replaceChildren(
    characters.slice(0, position - 1).join(""),
    h("mark", {}, at?.trim() ? at : "\u00a0"),
    characters.slice(position).join(""),
  );
}

/** The states to show: before backward, when the result's gradient is 1, and after each step. */
function stages({ nodes, steps }) {
  const grads = nodes.map(() => 0);
  const known = new Set();
  const done = new Set();
  const found = [{ grads: [...grads], known: NOTHING, done: NOTHING, fed: NOTHING, now: null, step: null }];
  const last = nodes.length - 1;
  const keep = (now, step, fed) => found.push({ grads: [...grads], known: new Set(known), done: new Set(done), fed, now, step });
  grads[last] = 1;
  known.add(last);
  keep(last, null, NOTHING);
  for (const step of steps) {
    done.add(step.node);
    // Each addition keeps the gradient before it: one step may add to the same operand twice.
    const additions = step.additions.map((each) => {
      const before = grads[each.operand];
      grads[each.operand] += each.gradient;
      known.add(each.operand);
      return { ...each, before, sum: grads[each.operand] };
    });
    keep(step.node, { ...step, additions }, new Set(additions.map(({ operand }) => operand)));
  }
  return found;
}

function go(page, wanted) {
  const last = page.stages.length - 1;
  page.at = Math.min(last, Math.max(0, wanted));
  const stage = page.stages[page.at];
  page.show(stage);
  page.count.textContent = `Step ${page.at} of ${last}`;
  page.explanation.replaceChildren(...words(page, stage));
  page.additions.replaceChildren(...table(page, stage));
  page.additions.hidden = stage.step === null;
  page.values.replaceChildren(allValues(page.graph.nodes, stage));
  const [over, back, next, all] = page.buttons;
  const focused = document.activeElement;
  over.disabled = back.disabled = page.at === 0;
  next.disabled = all.disabled = page.at === last;
  // Keyboard users keep their place: a disabled button loses the focus.
  if (focused?.disabled) (page.at === 0 ? next : over).focus();
}

function words({ graph: { nodes }, at, stages: all }, { now, step, grads }) {
  const last = nodes.at(-1);
  const result = nameOf(last, nodes);
  if (now === null) {
    const named = last.label ? `${last.label.replaceAll(", ", " = ")} = ` : "";
    return [h("p", {}, `The forward pass is done: every value is known, the result is ${named}${format(last.data)}. All gradients are 0. “Next” starts at the result.`)];
  }
  const finished = at === all.length - 1 ? " That was the last step: each gradient says how fast the result changes with that value." : "";
  if (step === null) return [h("p", {}, `The result changes with itself one for one: the gradient of ${result} is 1.${finished}`)];
  const node = nodes[now];
  const adds = step.additions.map((each) => addition(each, step, nodes, grads));
  return [h("p", {}, h("strong", {}, equation(node, nodes)), ` has the gradient ${format(grads[now])}. ${rule(node, nodes)} ${adds.join("; ")}.${finished}`)];
}

function table({ graph: { nodes } }, { step, grads }) {
  if (step === null) return [];
  const rows = step.additions.map(({ operand, derivative, gradient, sum }) =>
    row([nameOf(nodes[operand], nodes), format(derivative), format(grads[step.node]), format(gradient), format(sum)]),
  );
  const head = ["to", "derivative", "× gradient", "= adds", "so far"];
  return [grid("What this step adds", head, rows)];
}

function allValues(nodes, { grads }) {
  const rows = nodes.map((node) => row([node.label || "–", formula(node, nodes), format(node.data), format(grads[node.id])]));
  return grid("Every value, operands before results", ["name", "made as", "data", "grad"], rows, "graph-table graph-values");
}

const row = ([first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), ...others.map((cell) => h("td", {}, cell)));

const grid = (caption, head, rows, kind = "graph-table") =>
  h(
    "table",
    { class: kind },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, cell)))),
    h("tbody", {}, ...rows),
  );
