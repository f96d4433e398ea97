// The form: convert it to a request, and to and from a link; show errors beside their fields.

import { $, control, fill, h } from "./dom.js";

const TEXTS = ["style", "prefix", "ends_with", "contains", "excludes", "pattern"];
const NUMBERS = ["min_length", "max_length", "count"];
const FIELDS = ["dataset", "model", "temperature", "seed", ...TEXTS, ...NUMBERS];
const flag = (text) => text === "true";
// Fields of a link without a control on the page: kept until "Start over".
const OTHERS = { top_k: Number, top_p: Number, case: String, safe: flag, unique: flag, max_attempts: Number };
const MAX_COUNT = 200;
// Most candidates may fail these constraints. With one of them, a request may take half a second.
const STRICT = ["ends_with", "contains", "pattern", "max_length"];
const MAX_ATTEMPTS = 20_000;
let extras = {};
let titles = new Map();
let styles = new Map();
const DEFAULTS = { temperature: "1", count: "12" };

/** Give each field a place for its error. */
export function start() {
  for (const name of FIELDS) {
    const error = h("p", { class: "wrong", id: `o-${name}-wrong` });
    control(name).closest(".field").append(error);
    control(name).setAttribute("aria-describedby", $(`o-${name}-hint`) ? `o-${name}-hint ${error.id}` : error.id);
  }
}

/** Offer the data sets and their models. */
export function offer(datasets) {
  titles = new Map(datasets.map(({ dataset, title }) => [dataset, title]));
  styles = new Map(datasets.map((each) => [each.dataset, Object.entries(each.styles)]));
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

/** Update what depends on the controls: the share of a blend, the temperature. A blend has its own models. */
export function reflect() {
  const blend = control("other").value !== "" && control("other").value !== control("dataset").value;
  control("mixing").hidden = !blend;
  control("dataset-hint").textContent = titles.get(control("dataset").value) ?? "";
  control("model-field").hidden = blend;
  offerStyles(new Map([control("dataset").value, blend ? control("other").value : ""].flatMap((name) => styles.get(name) ?? [])));
  control("share-value").textContent = `${control("share").value} %`;
  control("temperature-value").textContent = control("temperature").value;
  return blend;
}

/** Offer a select for each style; they write the field "style", without unknown styles. */
function offerStyles(known) {
  const [field, place] = [control("style"), control("style-choices")];
  const chosen = new Map(field.value.split(",").map((part) => part.split(":")).filter(([style]) => known.has(style)));
  const write = (pairs) => (field.value = pairs.map((pair) => pair.join(":")).join());
  const selects = () => [...place.querySelectorAll("select")];
  write([...chosen]);
  control("style-field").hidden = !known.size;
  // Equal selects stay, so that they keep the focus.
  if (place.dataset.known !== (place.dataset.known = JSON.stringify([...known]))) {
    const input = () => write(selects().filter(({ value }) => value).map(({ name, value }) => [name, value]));
    place.replaceChildren(...[...known].map(([style, values]) => {
      const select = h("select", { name: style, on: { input } });
      fill(select, [["", "any"], ...values.map((value) => [value, value])]);
      return h("label", {}, style[0].toUpperCase() + style.slice(1), select);
    }));
  }
  for (const select of selects()) select.value = chosen.get(select.name) ?? "";
}

/** The controls as a request of the API; `models` are the concrete models of a shared link, if any. */
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
  // Any other text is sent unchanged: the service says what is allowed.
  if (control("pinned").checked && seed) body.seed = /^\d+$/.test(seed) ? Number(seed) : seed;
  if (STRICT.some((name) => control(name).value)) body.max_attempts = MAX_ATTEMPTS;
  return { ...body, ...extras };
}

/** The parameters of a link that gives the same names: the request with the seed and models of its answer. */
export function toLink(body, answer) {
  const { details, dataset, model, seed, ...rest } = body;
  const params = new URLSearchParams();
  // In the order of the controls; the answer may have another one.
  const mixed = typeof dataset === "string" ? [] : Object.keys(dataset).map((name) => `${name}:${answer.dataset[name]}`);
  params.set("dataset", mixed.join(",") || answer.dataset);
  params.set("model", typeof answer.model === "string" ? answer.model : Object.values(answer.model).join(","));
  params.set("seed", String(answer.seed));
  for (const [name, value] of Object.entries(rest)) params.set(name, String(value));
  return params;
}

/** Set the controls from a link, and return the concrete models that it names. */
export function fromLink(params) {
  reset();
  const parts = (params.get("dataset") ?? "").split(",").map((part) => part.split(":"));
  extras = Object.fromEntries(Object.entries(OTHERS).filter(([name]) => params.has(name)).map(([name, read]) => [name, read(params.get(name))]));
  if (parts[0][0]) control("dataset").value = parts[0][0];
  control("dataset").dataset.chosen = "yes";
  control("other").value = parts[1]?.[0] ?? "";
  const whole = parts.reduce((sum, [, weight]) => sum + Number(weight ?? 1), 0);
  if (parts[1]) control("share").value = String(Math.round((100 * Number(parts[1][1])) / whole));
  // A slider clamps values beyond its ends.
  const temperature = Number(params.get("temperature") ?? 1);
  control("temperature").max = String(Math.max(2, Math.min(5, temperature)));
  control("temperature").min = String(Math.min(0.3, Math.max(0.05, temperature)));
  for (const name of [...TEXTS, ...NUMBERS, "temperature", "seed"]) if (params.has(name)) control(name).value = params.get(name);
  control("novel").checked = params.has("novel") ? flag(params.get("novel")) : !params.has("seed");
  control("pinned").checked = params.has("seed");
  control("sort").checked = params.get("sort") === "likelihood";
  const models = (params.get("model") ?? "").split(",").filter(Boolean);
  if (models.length === 1) control("model").value = models[0];
  return models.length > 1 ? Object.fromEntries(models.map((model) => [model.split("/")[0], model])) : models[0];
}

/** Return whether the form is valid before a request, and show what is not. */
export function check() {
  const count = control("count").value;
  if (!count || (Number(count) >= 1 && Number(count) <= MAX_COUNT)) return true;
  showErrors([{ field: "count", allowed: `between 1 and ${MAX_COUNT} on this page` }]);
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

/** Show beside each wrong field what is allowed; return the errors without a visible field. */
export function showErrors(fields) {
  clearErrors();
  const left = [];
  for (const { field, allowed, nearest } of fields) {
    const place = FIELDS.includes(field) ? control(`${field}-wrong`) : null;
    if (!place || place.closest("[hidden]")) {
      left.push(`${field}: ${allowed}`);
      continue;
    }
    place.textContent = `Must be ${withLabels(allowed)}.${nearest?.length ? ` Did you mean ${nearest.join(" or ")}?` : ""}`;
    control(field).setAttribute("aria-invalid", "true");
  }
  return left;
}

/** The text of an error with this page's labels of the fields. */
const withLabels = (text) => text.replaceAll("max_length", "Longest").replaceAll("min_length", "Shortest");

export const focusFirstError = () => document.querySelector("#controls [aria-invalid]")?.focus();

export function clearErrors() {
  for (const field of FIELDS) {
    control(`${field}-wrong`).textContent = "";
    control(field).removeAttribute("aria-invalid");
  }
}
