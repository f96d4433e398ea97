// The dialog that explains a name: how likely each of its characters was, and the alternatives.

import { get, post } from "./api.js";
import { $, bar, h, letter, onceIn, percent } from "./dom.js";

const OTHERS = 4;

/** Open the dialog for a name of an answer. `source` is its data set and model; `continueFrom(prefix)` draws from another beginning. */
export async function explain(name, source, continueFrom) {
  const steps = name.characters.map(({ character, log_prob: logProb }) => ({ character, p: Math.exp(logProb) }));
  $("why-title").textContent = name.name;
  $("why-text").textContent = `At temperature 1 this model draws it ${onceIn(name.log_prob)}. ${name.in_training ? "It is in the list." : "It is new."}`;
  $("why-strip").replaceChildren(...steps.map(({ character, p }) => column(character, p)));
  $("why-close").onclick = () => $("why").close();
  $("why").showModal();
  const prefixes = steps.map((_, t) => steps.slice(0, t).map(({ character }) => character).join(""));
  const text = prefixes.at(-1);
  const [chances, score] = await Promise.all([
    Promise.all(prefixes.map((prefix) => get("next", { ...source, prefix }).catch(() => null))),
    post("score", { ...source, names: [text], nearest: true }).catch(() => null),
  ]);
  if (!$("why").open || $("why-title").textContent !== name.name) return;
  const near = score?.scores[0].nearest;
  if (near && !name.in_training) $("why-text").textContent += ` The nearest name of the list is ${near.name[0].toUpperCase()}${near.name.slice(1)}.`;
  if (chances.includes(null)) $("why-text").textContent += " The alternatives are not available at the moment.";
  [...$("why-strip").children].forEach((place, t) => {
    const others = (chances[t]?.characters ?? []).filter(({ character }) => character !== steps[t].character).slice(0, OTHERS);
    place.append(h("ul", {}, ...others.map((other) => h("li", {}, choice(other, prefixes[t], continueFrom)))));
  });
}

function column(character, p) {
  return h("div", { class: "place" }, h("strong", {}, letter(character)), bar(p), h("span", { class: "odds" }, percent(p)));
}

function choice({ character, probability }, prefix, continueFrom) {
  const text = `${letter(character)} ${percent(probability)}`;
  if (character === ".") return h("span", { class: "other" }, text);
  const on = { click: () => ($("why").close(), continueFrom(prefix + character)) };
  return h("button", { type: "button", class: "other", "aria-label": `Continue from “${prefix}${character}”`, on }, text);
}
