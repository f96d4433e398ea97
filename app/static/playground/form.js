// The controls: what they say as a request, what a link says as controls, and what is wrong beside its field.

import { control, fill } from "./dom.js";

const TEXTS = ["prefix", "ends_with", "contains", "excludes", "pattern"];
const NUMBERS = ["min_length", "max_length", "count"];
const FIELDS = ["dataset", "model", "temperature", "seed", ...TEXTS, ...NUMBERS];
// Fields that a link may have and the page has no control for: kept until "Start over".
const OTHERS = { top_k: Number, top_p: Number, case: String, safe: (text) => text === "true", unique: (text) => text === "true", max_attempts: Number };
const MOST = 200;
// What most candidates may fail at: with one of these, half a second of drawing is worth its names.
const RARE = ["ends_with", "contains", "pattern", "max_length"];
const PATIENCE = 20_000;
let extras = {};
let titles = new Map();
const DEFAULTS = { temperature: "1", count: "12" };

/** Offer the data sets and their models. */
export function offer(datasets) {
  titles = new Map(datasets.map(({ dataset, title }) => [dataset, title]));
  fill(control("dataset"), datasets.map(({ dataset }) => [dataset, dataset]));
  fill(control("other"), [["", "nothing"], ...datasets.map(({ dataset }) => [dataset, dataset])]);
  if (datasets.some(({ dataset }) => dataset === "human") && !control("dataset").dataset.chosen) control("dataset").value = "human";
  offerModels(datasets);
}

/** Offer the models of the chosen data set, its default first. */
export function offerModels(datasets) {
  const found = datasets.find(({ dataset }) => dataset === control("dataset").value);
  if (!found) return;
  fill(control("model"), [["", `the default, ${found.default ?? "none"}`], ...found.models.map((model) => [model, model])]);
}

/** Show what follows from the controls: the share of a blend, the temperature. A blend has its own models. */
export function reflect() {
  const blend = control("other").value !== "" && control("other").value !== control("dataset").value;
  control("mixing").hidden = !blend;
  control("dataset-hint").textContent = titles.get(control("dataset").value) ?? "";
  control("model-field").hidden = blend;
  control("share-told").textContent = `${control("share").value} %`;
  control("temperature-told").textContent = control("temperature").value;
  return blend;
}

/** The controls as a request of the API; `models` are the concrete ones of a shared link, while they hold. */
export function request(models) {
  const blend = reflect();
  const share = Number(control("share").value) / 100;
  const body = {
    dataset: blend ? { [control("dataset").value]: 1 - share, [control("other").value]: share } : control("dataset").value,
    temperature: Number(control("temperature").value),
    novel: control("novel").checked,
    details: true,
  };
  if (control("sort").checked) body.sort = "likelihood";
  if (models) body.model = models;
  else if (!blend && control("model").value) body.model = control("model").value;
  for (const name of TEXTS) if (control(name).value) body[name] = control(name).value;
  for (const name of NUMBERS) if (control(name).value) body[name] = Number(control(name).value);
  body.count ??= Number(DEFAULTS.count);
  const seed = control("seed").value.trim();
  // What is no number goes as it is: the service says what is allowed.
  if (control("pinned").checked && seed) body.seed = /^\d+$/.test(seed) ? Number(seed) : seed;
  if (RARE.some((name) => control(name).value)) body.max_attempts = PATIENCE;
  return { ...body, ...extras };
}

/** What a link needs to give the very same names: the request with the seed and models of its answer. */
export function toLink(body, answer) {
  const { details, dataset, model, seed, ...rest } = body;
  const said = new URLSearchParams();
  // In the order of the controls; the answer has its own.
  const mixed = typeof dataset === "string" ? [] : Object.keys(dataset).map((name) => `${name}:${answer.dataset[name]}`);
  said.set("dataset", mixed.join(",") || answer.dataset);
  said.set("model", typeof answer.model === "string" ? answer.model : Object.values(answer.model).join(","));
  said.set("seed", String(answer.seed));
  for (const [name, value] of Object.entries(rest)) said.set(name, String(value));
  return said;
}

/** Set the controls from a link, and return the concrete models that it names. */
export function fromLink(said) {
  reset();
  const parts = (said.get("dataset") ?? "").split(",").map((part) => part.split(":"));
  extras = Object.fromEntries(Object.entries(OTHERS).filter(([name]) => said.has(name)).map(([name, read]) => [name, read(said.get(name))]));
  if (parts[0][0]) control("dataset").value = parts[0][0];
  control("dataset").dataset.chosen = "yes";
  control("other").value = parts[1]?.[0] ?? "";
  const whole = parts.reduce((sum, [, weight]) => sum + Number(weight ?? 1), 0);
  if (parts[1]) control("share").value = String(Math.round((100 * Number(parts[1][1])) / whole));
  // A slider takes nothing beyond its ends.
  const warm = Number(said.get("temperature") ?? 1);
  control("temperature").max = String(Math.max(2, Math.min(5, warm)));
  control("temperature").min = String(Math.min(0.3, Math.max(0.05, warm)));
  for (const name of [...TEXTS, ...NUMBERS, "temperature", "seed"]) if (said.has(name)) control(name).value = said.get(name);
  control("novel").checked = said.has("novel") ? said.get("novel") === "true" : !said.has("seed");
  control("pinned").checked = said.has("seed");
  control("sort").checked = said.get("sort") === "likelihood";
  const models = (said.get("model") ?? "").split(",").filter(Boolean);
  if (models.length === 1) control("model").value = models[0];
  return models.length > 1 ? Object.fromEntries(models.map((model) => [model.split("/")[0], model])) : models[0];
}

/** Say what is wrong before anything is asked, or nothing. */
export function check() {
  const count = control("count").value;
  if (!count || (Number(count) >= 1 && Number(count) <= MOST)) return true;
  blame([{ field: "count", allowed: `between 1 and ${MOST} on this page` }]);
  return false;
}

export function reset() {
  extras = {};
  for (const name of [...TEXTS, ...NUMBERS, "seed"]) control(name).value = DEFAULTS[name] ?? "";
  control("temperature").value = DEFAULTS.temperature;
  control("other").value = "";
  control("model").value = "";
  control("novel").checked = true;
  control("sort").checked = control("pinned").checked = false;
}

/** Tell each wrong field what is allowed, beside it; return what has no field here. */
export function blame(fields) {
  absolve();
  const left = [];
  for (const { field, allowed, nearest } of fields) {
    const place = FIELDS.includes(field) ? control(`${field}-wrong`) : null;
    if (!place || place.closest("[hidden]")) {
      left.push(`${field}: ${allowed}`);
      continue;
    }
    place.textContent = `Must be ${inWords(allowed)}.${nearest?.length ? ` Did you mean ${nearest.join(" or ")}?` : ""}`;
    control(field).setAttribute("aria-invalid", "true");
  }
  return left;
}

/** An error's words with this page's names of the fields. */
const inWords = (text) => text.replaceAll("max_length", "Longest").replaceAll("min_length", "Shortest");

/** Lead to the first field that is wrong. */
export const leadToWrong = () => document.querySelector("#controls [aria-invalid]")?.focus();

export function absolve() {
  for (const field of FIELDS) {
    control(`${field}-wrong`).textContent = "";
    control(field).removeAttribute("aria-invalid");
  }
}
