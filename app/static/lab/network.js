// The character MLP of the lectures, from scratch on Float64Arrays: embedding, hidden layers, logits; forward,
// cross-entropy, backward, one step of gradient descent. Independent of any page; all randomness comes from `random`.
//
// A network is { shape, arrays }: shape = { vocabSize, blockSize, nEmbd, nHidden, depth, activation, norm }; arrays by the
// names that a checkpoint has: "linear0.weight" is (fan_in, fan_out), row by row. B: examples of a batch.

export const GAINS = { tanh: 5 / 3, relu: Math.SQRT2 };
const EPS = 1e-5;

/** Numbers from 0 to below 1, the same ones for the same seed everywhere (mulberry32, Tommy Ettinger 2017). */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `n` numbers of mean 0 and this standard deviation (Box and Muller 1958). */
export function normal(n, deviation, random) {
  return Float64Array.from({ length: n }, () => deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}

/** The rows and columns of each array of a network of this shape; a vector has 1 row. */
export function sizes({ vocabSize, blockSize, nEmbd, nHidden, depth, norm }) {
  const found = { "embedding.weight": [vocabSize, nEmbd] };
  for (let i = 0; i < depth; i += 1) {
    found[`linear${i}.weight`] = [i === 0 ? blockSize * nEmbd : nHidden, nHidden];
    const vectors = norm ? [`norm${i}.gamma`, `norm${i}.beta`] : [`linear${i}.bias`];
    for (const name of vectors) found[name] = [1, nHidden];
  }
  return { ...found, "output.weight": [nHidden, vocabSize], "output.bias": [1, vocabSize] };
}

/** A network: weights of standard deviation gain / sqrt(fan_in), `lastGain` for the logits', an embedding of 1. */
export function build(shape, { gain, lastGain }, random) {
  const arrays = {};
  for (const [name, [rows, columns]] of Object.entries(sizes(shape))) {
    if (name.endsWith("weight")) {
      const spread = name.startsWith("embedding") ? 1 : (name.startsWith("output") ? lastGain : gain) / Math.sqrt(rows);
      arrays[name] = normal(rows * columns, spread, random);
    } else arrays[name] = new Float64Array(columns).fill(name.endsWith("gamma") ? 1 : 0);
  }
  return { shape, arrays };
}

/** x (n, k) times weight (k, m), and a bias (m) where there is one: (n, m). */
function linear(x, weight, bias, n, k, m) {
  const out = new Float64Array(n * m);
  for (let r = 0; r < n; r += 1) {
    if (bias) out.set(bias, r * m);
    for (let i = 0; i < k; i += 1) {
      const factor = x[r * k + i];
      if (factor === 0) continue;
      for (let o = 0, at = i * m, to = r * m; o < m; o += 1) out[to + o] += factor * weight[at + o];
    }
  }
  return out;
}

/** From the gradient of a linear layer's output: those of its input, weight and bias. */
function linearBackward(gradient, x, weight, n, k, m) {
  const [dx, dweight, dbias] = [new Float64Array(n * k), new Float64Array(k * m), new Float64Array(m)];
  for (let r = 0; r < n; r += 1) {
    for (let o = 0; o < m; o += 1) dbias[o] += gradient[r * m + o];
    for (let i = 0; i < k; i += 1) {
      const factor = x[r * k + i];
      let sum = 0;
      for (let o = 0, at = i * m, from = r * m; o < m; o += 1) {
        sum += gradient[from + o] * weight[at + o];
        dweight[at + o] += gradient[from + o] * factor;
      }
      dx[r * k + i] = sum;
    }
  }
  return { dx, dweight, dbias };
}

/** Each of m channels to mean 0 and variance 1 over n rows, then gamma x + beta (Ioffe and Szegedy 2015). */
function batchNorm(x, gamma, beta, n, m) {
  const [normed, scale, out] = [new Float64Array(n * m), new Float64Array(m), new Float64Array(n * m)];
  for (let o = 0; o < m; o += 1) {
    let [mean, variance] = [0, 0];
    for (let r = 0; r < n; r += 1) mean += x[r * m + o] / n;
    for (let r = 0; r < n; r += 1) variance += (x[r * m + o] - mean) ** 2 / n;
    scale[o] = 1 / Math.sqrt(variance + EPS);
    for (let r = 0; r < n; r += 1) {
      normed[r * m + o] = (x[r * m + o] - mean) * scale[o];
      out[r * m + o] = normed[r * m + o] * gamma[o] + beta[o];
    }
  }
  return { normed, scale, out };
}

/** The input's gradient in one expression: gamma scale / n * (n d - sum of d - normed * sum of d normed). */
function batchNormBackward(gradient, { normed, scale }, gamma, n, m) {
  const [dx, dgamma, dbeta] = [new Float64Array(n * m), new Float64Array(m), new Float64Array(m)];
  for (let r = 0, at = 0; r < n; r += 1) {
    for (let o = 0; o < m; o += 1, at += 1) {
      dgamma[o] += gradient[at] * normed[at];
      dbeta[o] += gradient[at];
    }
  }
  for (let r = 0, at = 0; r < n; r += 1) {
    for (let o = 0; o < m; o += 1, at += 1) {
      dx[at] = ((gamma[o] * scale[o]) / n) * (n * gradient[at] - dbeta[o] - normed[at] * dgamma[o]);
    }
  }
  return { dx, dgamma, dbeta };
}

/** The loss of a batch, X (B, blockSize) and Y (B), and all that was computed on the way. */
export function forward({ shape, arrays }, X, Y) {
  const { vocabSize: V, blockSize: T, nEmbd: C, nHidden: H, depth, activation, norm } = shape;
  const B = Y.length;
  let x = new Float64Array(B * T * C);
  for (let p = 0; p < B * T; p += 1) x.set(arrays["embedding.weight"].subarray(X[p] * C, (X[p] + 1) * C), p * C);
  const layers = [];
  for (let i = 0; i < depth; i += 1) {
    const layer = { input: x };
    let before = linear(x, arrays[`linear${i}.weight`], arrays[`linear${i}.bias`], B, x.length / B, H);
    if (norm) {
      layer.norm = batchNorm(before, arrays[`norm${i}.gamma`], arrays[`norm${i}.beta`], B, H);
      before = layer.norm.out;
    }
    x = layer.output = before.map(activation === "tanh" ? Math.tanh : (v) => Math.max(v, 0));
    layers.push(layer);
  }
  const logits = linear(x, arrays["output.weight"], arrays["output.bias"], B, H, V);
  return { X, Y, layers, last: x, logits, ...crossEntropy(logits, Y, V) };
}

/** Mean negative log-likelihood in nats, and the probabilities. The largest logit is subtracted first. */
function crossEntropy(logits, Y, V) {
  const probabilities = new Float64Array(logits.length);
  let loss = 0;
  for (let r = 0; r < Y.length; r += 1) {
    const row = logits.subarray(r * V, (r + 1) * V);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    let sum = 0;
    for (let v = 0; v < V; v += 1) sum += probabilities[r * V + v] = Math.exp(row[v] - most);
    for (let v = 0; v < V; v += 1) probabilities[r * V + v] /= sum;
    loss += (Math.log(sum) + most - row[Y[r]]) / Y.length;
  }
  return { loss, probabilities };
}

/** The loss's gradients: of every array by its name, of every hidden layer's output, and of the logits. */
export function backward({ shape, arrays }, trace) {
  const { vocabSize: V, nEmbd: C, nHidden: H, depth, activation, norm } = shape;
  const B = trace.Y.length;
  const logits = trace.probabilities.map((p) => p / B);
  for (let r = 0; r < B; r += 1) logits[r * V + trace.Y[r]] -= 1 / B;
  const found = {};
  const outputs = [];
  let up = linearBackward(logits, trace.last, arrays["output.weight"], B, H, V);
  Object.assign(found, { "output.weight": up.dweight, "output.bias": up.dbias });
  for (let i = depth - 1; i >= 0; i -= 1) {
    const { input, output, norm: kept } = trace.layers[i];
    outputs.unshift(up.dx);
    // tanh' = 1 - tanh^2, and relu' = 0 or 1, both known from the output.
    let gradient = up.dx.map((d, k) => (activation === "tanh" ? d * (1 - output[k] ** 2) : output[k] > 0 ? d : 0));
    if (norm) {
      const through = batchNormBackward(gradient, kept, arrays[`norm${i}.gamma`], B, H);
      Object.assign(found, { [`norm${i}.gamma`]: through.dgamma, [`norm${i}.beta`]: through.dbeta });
      gradient = through.dx;
    }
    up = linearBackward(gradient, input, arrays[`linear${i}.weight`], B, input.length / B, H);
    found[`linear${i}.weight`] = up.dweight;
    if (!norm) found[`linear${i}.bias`] = up.dbias;
  }
  const rows = (found["embedding.weight"] = new Float64Array(V * C));
  trace.X.forEach((index, p) => {
    for (let c = 0; c < C; c += 1) rows[index * C + c] += up.dx[p * C + c];
  });
  return { arrays: found, outputs, logits };
}

/** One step of gradient descent, in place. */
export function descend({ arrays }, gradients, learningRate) {
  for (const [name, gradient] of Object.entries(gradients.arrays)) {
    const array = arrays[name];
    for (let i = 0; i < array.length; i += 1) array[i] -= learningRate * gradient[i];
  }
}
