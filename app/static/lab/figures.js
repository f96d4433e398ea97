// Statistics of a network (spreads, shares, histograms), and its training examples. Independent of any page.

// Beyond this tanh is nearly flat: its slope is below 0.06.
export const FLAT = 0.97;
export const ALPHABET = ".abcdefghijklmnopqrstuvwxyz";

/** Mean and standard deviation (of a sample: divided by n - 1). */
export function spread(values) {
  let [mean, squares] = [0, 0];
  for (const value of values) mean += value / values.length;
  for (const value of values) squares += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** The share of outputs through which next to no gradient passes: tanh's flat ends, relu's zero. */
export function saturated(output, activation) {
  let n = 0;
  for (const value of output) if (activation === "tanh" ? Math.abs(value) > FLAT : value === 0) n += 1;
  return n / output.length;
}

/** The share of a layer's `width` neurons that are saturated for every example of the batch: they cannot learn from it. */
export function dead(output, activation, width) {
  const alive = new Uint8Array(width);
  output.forEach((value, k) => {
    if (activation === "tanh" ? Math.abs(value) <= FLAT : value > 0) alive[k % width] = 1;
  });
  return 1 - alive.reduce((sum, one) => sum + one, 0) / width;
}

/** The size of a step relative to the weights: learning rate x deviation of the gradient / deviation of the weights. */
export const ratio = (weight, gradient, learningRate) => (learningRate * spread(gradient).deviation) / spread(weight).deviation;

/** The number of values in each of `bins` equal parts from low to high; values outside count at the edges. */
export function histogram(values, low, high, bins) {
  const counts = new Float64Array(bins);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * bins);
    if (bin === bin) counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
  }
  return counts;
}

/** The statistics of one batch: the loss, each layer from the first on, and the ratios of all weights. */
export function statistics(network, trace, gradients, learningRate) {
  const { shape, arrays } = network;
  const layers = trace.layers.map(({ output }, i) => ({
    output: spread(output),
    saturated: saturated(output, shape.activation),
    dead: dead(output, shape.activation, shape.nHidden),
    gradient: spread(gradients.outputs[i]),
  }));
  const weights = [...layers.map((_, i) => `linear${i}.weight`), "output.weight"];
  return { loss: trace.loss, layers, ratios: weights.map((name) => ratio(arrays[name], gradients.arrays[name], learningRate)) };
}

/** Every window of the names: X, `blockSize` characters each, padded with end tokens on the left; Y, the next characters. */
export function windows(names, blockSize) {
  const [X, Y] = [[], []];
  for (const name of names) {
    const ids = [...Array(blockSize).fill(0), ...[...name].map((c) => ALPHABET.indexOf(c)), 0];
    for (let at = blockSize; at < ids.length; at += 1) {
      X.push(...ids.slice(at - blockSize, at));
      Y.push(ids[at]);
    }
  }
  return { X, Y, blockSize };
}

/** A batch of examples, drawn with replacement. */
export function batch({ X, Y, blockSize }, size, random) {
  const chosen = Array.from({ length: size }, () => Math.floor(random() * Y.length));
  return { X: chosen.flatMap((k) => X.slice(k * blockSize, (k + 1) * blockSize)), Y: chosen.map((k) => Y[k]) };
}
