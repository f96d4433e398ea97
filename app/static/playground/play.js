// The play page: draw names after each change and with the space bar; keep, copy and share them.

import { get, post, Problem } from "./api.js";
import { $, control, copy, csv, download, h, oneIn } from "./dom.js";
import * as favourites from "./favourites.js";
import * as form from "./form.js";
import { explain } from "./why.js";
import * as next from "./next.js";

const SLOW = 300;
const PAUSE = 120;
let datasets = [];
let last = null;
let running = null;
let timer = 0;
let counting = 0;
// The concrete models of a shared link, until the data set or model changes.
let pinnedModels;
// Whether the seed is that of a link; it is kept until the user draws again.
let pinnedByLink = false;

const setStatus = (text) => ($("status").textContent = text);

export async function start() {
  favourites.show();
  form.start();
  $("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    draw(true);
  });
  $("controls").addEventListener("input", changed);
  $("reset").addEventListener("click", () => {
    form.reset();
    pinnedModels = undefined;
    history.replaceState(null, "", "#/");
    draw();
  });
  $("copy-all").addEventListener("click", () => copyAll(names(), "All names copied."));
  $("share-link").addEventListener("click", share);
  $("names-csv").addEventListener("click", () => exportCsv());
  $("names-text").addEventListener("click", () => last && download("names.txt", "text/plain", names().join("\n") + "\n"));
  document.addEventListener("kept", () => document.querySelectorAll("[data-keeps]").forEach(marked));
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || $("play").hidden || $("why").open) return;
    if (event.target.closest("input:not([type=range]), select, textarea, button, summary")) return;
    event.preventDefault();
    draw(true);
  });
  next.start(() => last && { dataset: datasetText(last.dataset), model: modelText(last.model), style: last.body.style });
  window.addEventListener("focus", () => refreshed().catch(() => undefined));
  try {
    await refreshed();
  } catch (error) {
    return showError(error);
  }
  return show(location.hash);
}

/** Fetch the data sets, which may come and go while the page is open. */
async function refreshed() {
  const found = await get("datasets");
  if (JSON.stringify(found) === JSON.stringify(datasets)) return;
  datasets = found;
  form.offer(datasets);
}

/** Show the page for an address: "#/?seed=..." is a shared link. */
export function show(hash) {
  if (!datasets.length) return undefined;
  const params = new URLSearchParams(hash.split("?")[1] ?? "");
  if ([...params].length) {
    pinnedModels = form.fromLink(params);
    pinnedByLink = params.has("seed");
    if ((params.get("dataset") ?? "").split(",").length > 2) setStatus("This page mixes two data sets; the others of the link are ignored.");
    form.offerModels(datasets);
    if (typeof pinnedModels === "string") control("model").value = pinnedModels;
  }
  form.reflect();
  if ([...params].length || !last) return draw();
  return undefined;
}

function changed(event) {
  if (["o-dataset", "o-other", "o-model"].includes(event.target.id)) pinnedModels = undefined;
  if (event.target.id === "o-dataset") form.offerModels(datasets);
  if (event.target.id === "o-seed") control("pinned").checked = control("seed").value !== "";
  if (event.target.id === "o-pinned") pinnedByLink = false;
  form.reflect();
  // The link no longer matches the controls.
  if (location.hash.includes("?")) history.replaceState(null, "", "#/");
  clearTimeout(timer);
  timer = setTimeout(draw, PAUSE);
}

async function draw(fresh = false) {
  clearTimeout(timer);
  clearInterval(counting);
  if (fresh === true && pinnedByLink) control("pinned").checked = pinnedByLink = false;
  if (fresh === true && !control("pinned").checked) history.replaceState(null, "", "#/");
  const asked = fresh === true;
  if (!form.check()) return reportInvalid(asked);
  running?.abort();
  running = new AbortController();
  const mine = running;
  const slow = setTimeout(() => {
    $("progress").hidden = false;
    $("results").setAttribute("aria-busy", "true");
  }, SLOW);
  try {
    if (!datasets.length) await refreshed();
    const body = form.request(pinnedModels);
    const answer = await post("generate", body, mine.signal);
    last = { ...answer, body };
    form.clearErrors();
    list(answer);
    next.refresh();
  } catch (error) {
    if (error.name !== "AbortError") showError(error, asked);
  } finally {
    clearTimeout(slow);
    if (mine === running) {
      $("progress").hidden = true;
      $("results").removeAttribute("aria-busy");
    }
  }
}

function list(answer) {
  control("seed").value = String(answer.seed);
  $("names").replaceChildren(...answer.names.map((name) => card(name)));
  $("names").dataset.draws = String(Number($("names").dataset.draws ?? 0) + 1);
  if (answer.complete) return setStatus("");
  const [reason, times] = Object.entries(answer.refused).reduce((most, pair) => (pair[1] > most[1] ? pair : most));
  const why = times ? ` Most were rejected by “${label(reason)}”.` : "";
  const found = answer.names.length ? `Only ${answer.names.length}` : "None";
  const note = answer.note ? ` ${answer.note}` : "";
  return setStatus(`${found} found in ${answer.attempts.toLocaleString("en")} tries.${why}${note}`);
}

const label = (reason) =>
  ({ ends_with: "Ends with", contains: "Contains", max_length: "Longest", novel: "New names only", unique: "no repeats", safe: "profanity filter" })[
    reason
  ] ?? reason;

function card(name) {
  const on = { click: () => favourites.toggle({ name: name.name, model: modelText(last.model) }) };
  const keep = h("button", { type: "button", class: "small", data: { keeps: name.name }, on });
  marked(keep);
  const copyIt = { click: () => copyAll([name.name], `${name.name} copied.`) };
  const open = { click: () => why(name) };
  return h(
    "li",
    {},
    h("button", { type: "button", class: "name", "aria-label": `${name.name}: why this name?`, on: open }, name.name),
    h("span", { class: "odds" }, oneIn(name.log_prob)),
    h("span", { class: name.in_training ? "tag known" : "tag" }, name.in_training ? "in the list" : "new"),
    h("span", { class: "row" }, keep, h("button", { type: "button", class: "small", "aria-label": `Copy: ${name.name}`, on: copyIt }, "Copy")),
  );
}

/** Show on a button whether its name is kept. */
function marked(button) {
  const word = favourites.has(button.dataset.keeps) ? "Kept" : "Keep";
  button.textContent = word;
  button.setAttribute("aria-pressed", String(word === "Kept"));
  button.setAttribute("aria-label", `${word}: ${button.dataset.keeps}`);
}

function why(name) {
  explain(name, { dataset: datasetText(last.dataset), model: modelText(last.model), style: last.body.style }, (prefix) => {
    control("prefix").value = prefix;
    draw();
  });
}

const names = () => (last?.names ?? []).map(({ name }) => name);

const datasetText = (dataset) =>
  typeof dataset === "string" ? dataset : Object.entries(dataset).map((pair) => pair.join(":")).join(",");

const modelText = (model) => (typeof model === "string" ? model : Object.values(model).join(","));

async function copyAll(texts, done) {
  setStatus((await copy(texts.join("\n"))) ? done : "This browser does not allow copying: select the names instead.");
}

function exportCsv() {
  if (!last) return;
  const rows = last.names.map((name) => [name.name, String(name.log_prob), String(name.in_training)]);
  download("names.csv", "text/csv", csv([["name", "log_prob", "in_list"], ...rows]));
}

async function share() {
  if (!last) return;
  const params = form.toLink(last.body, last);
  history.replaceState(null, "", `#/?${params}`);
  const copied = await copy(location.href);
  setStatus(copied ? "Link copied: it gives exactly these names." : "The link is in the address bar: it gives exactly these names.");
}

/** Report a wrong field. Focus it only if the user asked for names, not while the user types. */
function reportInvalid(asked) {
  if (asked) form.focusFirstError();
  setStatus("A value is not valid: see the field in red.");
}

/** Show an error: beside its field, or with the time until the next try. */
function showError(error, asked = false) {
  if (!(error instanceof Problem)) throw error;
  const left = form.showErrors(error.fields);
  if (error.wait) return countDown(error.wait);
  if (error.fields.length && !left.length) return reportInvalid(asked);
  return setStatus(left.length ? left.join("; ") : error.message);
}

function countDown(seconds) {
  let left = Math.ceil(seconds);
  const step = () => {
    setStatus(left > 0 ? `The service is busy. Trying again in ${left} s.` : "Trying again.");
    if (left-- > 0) return;
    clearInterval(counting);
    draw();
  };
  step();
  counting = setInterval(step, 1000);
}
