// A sentence for each chart, from the results of `figures.statistics`. Independent of any page.

import { share, short } from "./charts.js";

export const FAIR = Math.log(27);

// Beyond this a factor is only "over a million".
const MANY = 1e6;

const times = (value) => (!(value <= MANY) ? "over a million" : value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en"));

/** The largest value and its layer. */
const most = (layers, of) => layers.map((layer, i) => [of(layer), i + 1]).reduce((a, b) => (b[0] > a[0] ? b : a));

/** The verdict on a loss after `steps` steps; `first` is the loss before them. */
export function ofLoss(loss, steps, first) {
  if (!Number.isFinite(loss)) return "The loss is not a number: the steps were too large. Lower the learning rate and start again.";
  const excess = loss - FAIR;
  if (steps === 0 && excess > 0.4) return `Confidently wrong: ${excess.toFixed(2)} nats worse than a fair guess. The first steps will only shrink the logits: the bend of the “hockey stick” in the curve.`;
  if (steps === 0) return "A fair guess: every character is about equally likely, as it should be before training.";
  if (loss > first + 1 && loss > 1.5 * first) return `Blown up: the loss was ${first.toFixed(2)} at the start. The steps are too large: lower the learning rate and start again.`;
  if (excess < -0.15) return `It learns: ${(-excess).toFixed(2)} nats better than a fair guess.`;
  return excess > 0.4 ? "Still worse than a fair guess." : "No better than a fair guess yet.";
}

export function ofActivations(layers, activation) {
  const [flat, where] = most(layers, (layer) => layer.saturated);
  const [dead, there] = most(layers, (layer) => layer.dead);
  const [first, last] = [layers[0].output.deviation, layers.at(-1).output.deviation];
  const widths = `${short(first)} wide in the first layer, ${short(last)} in the last`;
  if (activation === "tanh" && flat > 0.2) return `Layer ${where}: ${share(flat)} of the outputs lie where tanh is flat (orange). No gradient passes there.`;
  if (!(last < Infinity) || last > 4 * first) return `The activations explode: ${widths}.`;
  if (last < 0.4 * first) return `The activations fade: ${widths}, which gets little of the name.`;
  if (last < 0.7 * first) return `They get narrower on their way: ${widths}. More layers at this gain would fade.`;
  if (last > 1.5 * first) return `They get wider on their way: ${widths}. More layers at this gain would explode.`;
  if (dead > 0.1) return `About equally wide in all layers. But ${share(dead)} of layer ${there}'s neurons are ${activation === "tanh" ? "flat" : "zero"} for every example: dead, they learn nothing from this batch.`;
  const still = activation === "tanh" ? ` At most ${share(flat)} of a layer's outputs lie where tanh is flat.` : "";
  return `Healthy: about equally wide in all layers.${still} ${dead > 0 ? `Up to ${share(dead)} of a layer's neurons are dead.` : "No neuron is dead."}`;
}

export function ofGradients(layers) {
  const [first, last] = [layers[0].gradient.deviation, layers.at(-1).gradient.deviation];
  if (layers.length === 1) return "One layer has no other to compare with: add layers.";
  if (!(first < Infinity) || first > 10 * last) return `They explode on their way back: ${times(first / last)} times as wide in the first layer as in the last.`;
  if (first < last / MANY) return "They vanish on their way back: the first layer gets less than a millionth of what the last one gets.";
  if (first < last / 10) return `They vanish on their way back: the first layer gets 1/${times(last / first)} of what the last one gets.`;
  if (first > 3 * last) return `They grow on their way back: ${times(first / last)} times as wide in the first layer as in the last. More layers would make them explode.`;
  if (first < last / 3) return `They shrink on their way back: the first layer gets 1/${times(last / first)} of what the last one gets. More layers would make them vanish.`;
  return "Healthy: about equally wide in all layers.";
}

export function ofRatios(ratios, steps) {
  const hidden = ratios.slice(0, -1);
  const [low, high] = [Math.min(...hidden), Math.max(...hidden)];
  if (!(high < 0.03)) return `Too fast: a step changes a layer by ${short(high)} of its size. Lower the learning rate.`;
  if (high < 0.0003) return `Too slow: no hidden layer changes by more than ${short(high)} of its size. Raise the learning rate.`;
  if (high > 10 * low) return `The layers learn at different speeds: one ${times(high / low)} times as fast as another.`;
  const out = steps === 0 && ratios.at(-1) > 0.03 ? " The logits' weights start small, so they move faster at first." : "";
  return `Healthy: a step changes the hidden layers by ${[...new Set([low, high].map(short))].join(" to ")} of their size.${out}`;
}
