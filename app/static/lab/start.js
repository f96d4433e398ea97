// Initialisation and normalisation: settings of a small network, and charts of its forward and backward pass. `network`
// has the network, and `verdicts` explains the figures.

import { h } from "../../playground/dom.js";
import { axis, bars, curve, gauge, row, share, short } from "./charts.js";
import { batch, FLAT, histogram, statistics, windows } from "./figures.js";
import { backward, build, descend, forward, uniform } from "./network.js";
import * as verdicts from "./verdicts.js";

const SIZES = { vocabSize: 27, blockSize: 3, nEmbd: 10, nHidden: 100 };
const [BATCH, BINS, MANY] = [32, 60, 100];
// The number of batches in the average loss, and the loss from which on only its magnitude is shown.
const [RECENT, LARGE] = [20, 1e4];
// Milliseconds of steps between two pictures.
const FRAME = 40;
const START = { depth: 5, activation: "tanh", gain: 1.67, lastGain: 0.1, norm: false, rate: -1, seed: 1 };
const EXPERIMENTS = [
  ["A good start", {}, "Gain 5/3 makes up for the narrowing of tanh: compare the layers."],
  ["Confidently wrong", { lastGain: 5 }, "Large first logits: look at the loss, then take 100 steps."],
  ["Dead tanh", { gain: 4 }, "Large weights push tanh to its flat ends: look at the orange bars."],
  ["Vanishing", { depth: 8, gain: 0.5 }, "Small weights: each layer gets less signal, and passes less gradient back."],
  ["Relu, wrong gain", { depth: 8, activation: "relu", gain: 0.7 }, "Relu drops half of its input, so it needs a gain of √2: set it to 1.41."],
  ["BatchNorm fixes it", { gain: 4, norm: true }, "BatchNorm makes the weights of “Dead tanh” work. Switch it off to see the difference."],
];

const rate = () => 10 ** state.rate;
let [state, network, losses, examples, shown, drawing, pieces] = [{ ...START }, null, [], null, null, null, {}];
// Every change raises it, which stops running steps.
let generation = 0;

export async function show(root) {
  if (root.childElementCount) return;
  const names = await (await fetch("lab/page/names.txt")).text();
  examples = windows(names.trim().split("\n"), SIZES.blockSize);
  shown = batch(examples, BATCH, uniform(2));
  root.replaceChildren(h("h1", {}, "Initialisation and normalisation"), lead(examples), h("div", { class: "bench" }, knobs(), charts()));
  restart();
}

const lead = ({ Y }) =>
  h("p", { class: "lead" }, `A network with random weights gets ${BATCH} of ${Y.length.toLocaleString("en")} windows of real names: it reads three characters and guesses the fourth. The charts show one forward and one backward pass, computed in your browser. Change the settings.`);

/** A slider with its value beside its name. */
function slider(id, name, limits, format, hint) {
  const value = h("output", { id: `${id}-value`, for: id });
  const input = h("input", { id, type: "range", ...limits, ...(hint ? { "aria-describedby": `${id}-hint` } : {}) });
  pieces[id] = (now) => {
    input.value = now;
    value.textContent = format(now);
    input.setAttribute("aria-valuetext", format(now));
  };
  input.addEventListener("input", (event) => change({ [id]: Number(input.value) }, event));
  return h("div", { class: "knob" }, h("label", { for: id }, `${name}: `, value), input, hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null);
}

function knobs() {
  const activation = h("select", { id: "activation" }, ...["tanh", "relu"].map((name) => h("option", { value: name }, name)));
  pieces.activation = (now) => (activation.value = now);
  activation.addEventListener("input", (event) => change({ activation: activation.value }, event));
  const norm = h("input", { id: "norm", type: "checkbox" });
  pieces.norm = (now) => (norm.checked = now);
  norm.addEventListener("input", (event) => change({ norm: norm.checked }, event));
  pieces.tries = EXPERIMENTS.map(([name, settings]) =>
    h("button", { type: "button", class: "small", on: { click: (event) => change({ ...START, seed: state.seed, ...settings }, event) } }, name),
  );
  pieces.hint = h("p", { class: "hint", role: "status" });
  pieces.now = h("p", { class: "now", "aria-hidden": "true" });
  return h("form", { class: "panel knobs", "aria-label": "The network", on: { submit: (event) => event.preventDefault() } },
    h("fieldset", { class: "tries" }, h("legend", {}, "Try"), ...pieces.tries, pieces.hint),
    slider("depth", "Hidden layers", { min: 1, max: 8, step: 1 }, String),
    h("div", { class: "knob" }, h("label", { for: "activation" }, "Activation"), activation),
    slider("gain", "Gain of the weights", { min: 0.2, max: 4, step: 0.01 }, (v) => v.toFixed(2), "times 1/√fan_in; 1.67 suits tanh, 1.41 suits relu"),
    slider("lastGain", "Gain of the logits", { min: 0.1, max: 5, step: 0.1 }, (v) => v.toFixed(1), "the last layer only; a small gain makes an even first guess"),
    h("div", { class: "knob ticks" }, h("label", {}, norm, "BatchNorm before each activation")),
    slider("rate", "Learning rate", { min: -3, max: 1, step: 0.25 }, (v) => short(10 ** v)),
    h("button", { type: "button", class: "small", on: { click: (event) => change({ seed: state.seed + 1 }, event) } }, "Draw other weights"),
    pieces.now,
  );
}

/** A panel: a hint, the picture, and its current verdict. */
function panel(id, title, hint, kind = "ol") {
  pieces[id] = { picture: h(kind, { class: kind === "ol" ? "rows" : "" }), axis: h("div"), verdict: h("p", { class: "verdict" }) };
  const { picture, axis: below, verdict } = pieces[id];
  return h("section", { class: "panel", "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), h("p", { class: "hint" }, hint), picture, below, verdict);
}

function charts() {
  const steps = (n) => h("button", { type: "button", on: { click: () => train(n) } }, n === 1 ? "Take 1 step" : `Take ${n} steps`);
  pieces.buttons = [steps(1), steps(MANY)];
  const again = h("button", { type: "button", on: { click: restart } }, "Start again");
  pieces.headline = h("p", { class: "headline" });
  const loss = panel("loss", "Loss", "An even guess among 27 characters costs ln 27. A much higher first loss means confident, wrong guesses.", "div");
  loss.children[1].before(pieces.headline);
  pieces.loss.verdict.setAttribute("role", "status");
  loss.append(h("div", { class: "tools" }, ...pieces.buttons, again));
  return h("div", { class: "charts" }, loss,
    h("div", { class: "three" },
      panel("activations", "Activations", "The outputs of each layer, ± their standard deviation. All layers should be equally wide; no gradient passes the orange parts."),
      panel("gradients", "Gradients", "Gradients at each layer's outputs, on one scale. Narrower towards the first layer: vanishing. Wider: exploding."),
      panel("ratios", "Update : data", "The change of the weights in one step, relative to their size. The mark is 1e−3, a good value; the scale is logarithmic.")));
}

/** Apply new settings. A new learning rate keeps the weights; all other settings restart. */
function change(settings, event) {
  state = { ...state, ...settings };
  cancelAnimationFrame(drawing);
  // Several events of one frame are one change.
  drawing = requestAnimationFrame(() => {
    if (Object.keys(settings).join() === "rate" && losses.length) render();
    else restart();
    // Benchmarks read this measure; it ends after the paint.
    setTimeout(() => performance.measure("lab-change", { start: event.timeStamp }));
  });
}

function restart() {
  generation += 1;
  busy(false);
  const { depth, activation, norm } = state;
  network = build({ ...SIZES, depth, activation, norm }, state, uniform(state.seed));
  pieces.random = uniform(1000 + state.seed);
  losses = [];
  render();
}

function busy(now) {
  for (const button of pieces.buttons) button.disabled = now;
  pieces.loss.verdict.setAttribute("aria-busy", String(now));
}

/** Take steps of gradient descent; render after each frame's. */
async function train(n) {
  const mine = (generation += 1);
  busy(true);
  for (let left = n; left > 0 && mine === generation; ) {
    const until = performance.now() + FRAME;
    do {
      const { X, Y } = batch(examples, BATCH, pieces.random);
      const trace = forward(network, X, Y);
      descend(network, backward(network, trace), rate());
      losses.push(trace.loss);
      left -= 1;
    } while (left > 0 && performance.now() < until);
    render();
    await new Promise(requestAnimationFrame);
  }
  if (mine === generation) busy(false);
}

/** Show the settings in the controls, and mark the matching experiment. */
function showSettings() {
  for (const id of ["depth", "activation", "gain", "lastGain", "norm", "rate"]) pieces[id](state[id]);
  const here = EXPERIMENTS.findIndex(([, settings]) => Object.entries({ ...START, seed: state.seed, ...settings }).every(([id, value]) => state[id] === value));
  pieces.tries.forEach((button, i) => button.setAttribute("aria-pressed", String(i === here)));
  setText(pieces.hint, EXPERIMENTS[here]?.[2] ?? "");
}

function render() {
  showSettings();
  const trace = forward(network, shown.X, shown.Y);
  const gradients = backward(network, trace);
  const seen = statistics(network, trace, gradients, rate());
  const now = seen.loss < LARGE ? seen.loss.toFixed(2) : short(seen.loss);
  pieces.headline.replaceChildren(h("strong", {}, now), ` after ${losses.length} ${losses.length === 1 ? "step" : "steps"}; a fair guess costs ln 27 = ${verdicts.FAIR.toFixed(2)}.${recentLoss()}`);
  fill("loss", [curve([...losses, seen.loss], verdicts.FAIR, "ln 27", 1.8, `The loss over ${losses.length} steps: now ${now}; the dashed line is ln 27.`)], null, verdicts.ofLoss(seen.loss, losses.length, losses[0] ?? seen.loss));
  const most = Math.max(...seen.layers.map((layer) => layer.saturated));
  pieces.now.textContent = `loss ${now} · ${share(most)} ${state.activation === "tanh" ? "flat" : "zero"} · gradients: first layer ${short(seen.layers[0].gradient.deviation / seen.layers.at(-1).gradient.deviation)} × last`;
  showActivations(trace, seen);
  showGradients(gradients, seen);
  showRatios(seen);
}

/** A note that the loss is that of one batch, with the mean of the last batches once there are enough. */
function recentLoss() {
  if (losses.length < RECENT) return ` (One batch of ${BATCH}.)`;
  const mean = losses.slice(-RECENT).reduce((sum, loss) => sum + loss / RECENT, 0);
  return ` This is one batch of ${BATCH}; the last ${RECENT} batches cost ${mean < LARGE ? mean.toFixed(2) : short(mean)} on average.`;
}

function fill(id, pictures, below, verdict) {
  pieces[id].picture.replaceChildren(...pictures);
  pieces[id].axis.replaceChildren(...(below ? [below] : []));
  setText(pieces[id].verdict, verdict);
}

/** Set a text only if it changes, so that screen readers do not repeat it. */
function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function showActivations(trace, { layers }) {
  const { activation } = state;
  const isTanh = activation === "tanh";
  const high = isTanh ? 1 : Math.max(...layers.map(({ output }) => output.mean + 3 * output.deviation)) || 1;
  const low = isTanh ? -1 : 0;
  const hot = (i) => (isTanh ? Math.abs((i + 0.5) / BINS - 0.5) * 2 > FLAT : i === 0);
  const rows = trace.layers.map(({ output }, i) => {
    const { output: { mean, deviation }, saturated, dead } = layers[i];
    const label = `Layer ${i + 1}: mean ${short(mean)}, deviation ${short(deviation)}, ${share(saturated)} ${isTanh ? "saturated" : "zero"}, ${share(dead)} of the neurons dead.`;
    return row(String(i + 1), bars(histogram(output, low, high, BINS), label, hot), `± ${short(deviation)}`, `${share(saturated)} ${isTanh ? "flat" : "zero"}`);
  });
  fill("activations", rows, axis(isTanh ? "−1" : "0", isTanh ? "0" : short(high / 2), isTanh ? "1" : short(high)), verdicts.ofActivations(layers, activation));
}

function showGradients({ outputs }, { layers }) {
  const high = 3 * Math.max(...layers.map(({ gradient }) => gradient.deviation)) || 1;
  const rows = outputs.map((values, i) => {
    const { deviation } = layers[i].gradient;
    return row(String(i + 1), bars(histogram(values, -high, high, BINS), `Layer ${i + 1}: gradients with a deviation of ${short(deviation)}.`), `± ${short(deviation)}`);
  });
  fill("gradients", rows, axis(`−${short(high)}`, "0", short(high)), verdicts.ofGradients(layers));
}

function showRatios({ ratios }) {
  const rows = ratios.map((value, i) => {
    const name = i < ratios.length - 1 ? String(i + 1) : "out";
    // From 1e-6 to 1, so that 1e-3 is in the middle.
    return row(name, gauge((Math.log10(value) + 6) / 6, 0.5, name !== "out" && !(value < 0.03), `${name === "out" ? "Logits" : `Layer ${name}`}: a step changes the weights by ${short(value)} of their size.`), short(value));
  });
  fill("ratios", rows, axis("1e−6", "1e−3", "1"), verdicts.ofRatios(ratios, losses.length));
}
