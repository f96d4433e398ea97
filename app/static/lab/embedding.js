// The map of a model's character embeddings on their first two principal components.

import { h, letter, percent } from "../../playground/dom.js";
import { draw } from "./charts.js";

// The size of the map and the distances of labels, in pixels; a word needs more room than a letter.
const [WIDTH, HEIGHT, EDGE, LETTER_ROOM, WORD_ROOM] = [340, 300, 18, 19, 28];
const VOWELS = "aeiou";

const isVowel = (character) => VOWELS.includes(character.normalize("NFD")[0]);
const isLetter = (character) => /\p{L}/u.test(character);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The map and the text beside it, from an answer of /lab/wavenet. */
export function mapped({ embedding: { points, explained }, window: places, name }) {
  const dimensions = places[0].values.length;
  const [first, second] = explained;
  const vowels = points.filter(({ character }) => isVowel(character));
  const together = vowels.filter(({ nearest }) => isVowel(nearest));
  const nearest = Object.fromEntries(points.map((point) => [point.character, point.nearest]));
  const pairs = points.filter(({ character, nearest: other }) => character < other && nearest[other] === character);
  const listed = vowels.map(({ character, nearest: other }) => `${character} is ${letter(other)}`).join(", of ");
  return [
    h("p", { class: "hint" }, "Training gave each character its own numbers, without knowing what a vowel is. Check whether the vowels are close together."),
    h("div", { class: "mapped" }, picture(points, name, together.length), h("div", {},
      h("p", {}, `The axes hold ${percent(first)} and ${percent(second)} of the variance, ${percent(first + second)} together. The map hides the rest.`),
      h("p", {}, separation(points)),
      h("p", {}, `In all ${dimensions} dimensions the nearest of ${listed}: ${together.length} of ${vowels.length} vowels are nearest to a vowel.`),
      pairs.length ? h("p", {}, `Nearest to each other: ${pairs.map(({ character, nearest: other }) => `${letter(character)} and ${letter(other)}`).join(", ")}.`) : null,
      h("p", { class: "hint" }, "Distances are angles, because the length of an embedding mostly shows how rare its character is. Letters of your name are underlined."))),
  ];
}

/** The mean positions of vowels and consonants, on the axis that separates them best. */
function separation(points) {
  const letters = points.filter(({ character }) => isLetter(character));
  const [vowels, others] = [letters.filter((p) => isVowel(p.character)), letters.filter((p) => !isVowel(p.character))];
  const sides = ["x", "y"].map((axis) => [mean(vowels.map((p) => p[axis])), mean(others.map((p) => p[axis]))]);
  const best = Math.abs(sides[0][0] - sides[0][1]) >= Math.abs(sides[1][0] - sides[1][1]) ? 0 : 1;
  const [ours, theirs] = sides[best].map((value) => value.toFixed(2).replace("-", "−"));
  return `From ${best === 0 ? "left to right" : "bottom to top"} the vowels are at ${ours} on average, the consonants at ${theirs}.`;
}

/** Positions for labels: overlapping labels move apart, and a line connects each to its point. */
function spreadLabels(points, rooms) {
  const places = points.map((point) => [...point]);
  for (let round = 0; round < 60; round += 1) {
    for (const [i, one] of places.entries()) {
      for (const [k, other] of places.entries()) {
        if (k <= i) continue;
        const [dx, dy] = [other[0] - one[0] || 0.1, other[1] - one[1]];
        const missing = Math.max(0, Math.max(rooms[i], rooms[k]) - Math.hypot(dx, dy)) / 2 / Math.hypot(dx, dy);
        for (const [axis, d] of [dx, dy].entries()) {
          one[axis] -= d * missing;
          other[axis] += d * missing;
        }
      }
    }
  }
  return places;
}

function picture(points, name, together) {
  const place = (axis, length, flip) => {
    const all = points.map((point) => point[axis]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    return (value) => EDGE + ((flip ? high - value : value - low) / (high - low || 1)) * (length - 2 * EDGE);
  };
  const [x, y] = [place("x", WIDTH, false), place("y", HEIGHT, true)];
  const at = points.map((point) => [x(point.x), y(point.y)]);
  const labels = spreadLabels(at, points.map(({ character }) => (letter(character).length > 1 ? WORD_ROOM : LETTER_ROOM)));
  const marks = points.map(({ character }, i) => {
    const kind = character === "." ? "end" : isVowel(character) ? "vowel" : "";
    const [[a, b], [u, v]] = [at[i], labels[i]].map((pair) => pair.map((value) => value.toFixed(1)));
    return draw("g", { class: `${kind} ${name.includes(character) ? "named" : ""}` }, draw("path", { d: `M${a} ${b}L${u} ${v}` }), draw("text", { x: u, y: v }, letter(character)));
  });
  const axes = draw("path", { d: `M${x(0)} 4V${HEIGHT - 4}M4 ${y(0)}H${WIDTH - 4}`, class: "guide" });
  const label = `Map of ${points.length} characters; ${together} vowels are nearest to another vowel. The text beside it lists them.`;
  return h("figure", {}, draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "map", role: "img", "aria-label": label }, axes, ...marks), h("figcaption", {}, h("span", { class: "vowel" }, "vowels"), " and consonants"));
}
