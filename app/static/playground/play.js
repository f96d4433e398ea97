// The play page: names appear as soon as anything changes, are drawn again with the space bar, kept, copied, shared.

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
// Concrete models of a shared link, until data set or model is changed.
let pinnedModels;
// A seed that came with a link is kept until other names are asked for.
let pinnedByLink = false;

const say = (text) => ($("status").textContent = text);

export async function start() {
  favourites.show();
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
  next.start(() => last && { dataset: datasetText(last.dataset), model: modelText(last.model) });
  window.addEventListener("focus", () => refreshed().catch(() => undefined));
  try {
    await refreshed();
  } catch (error) {
    return tell(error);
  }
  return show(location.hash);
}

/** Ask which data sets there are: lists are trained and removed while the page is open. */
async function refreshed() {
  const found = await get("datasets");
  if (JSON.stringify(found) === JSON.stringify(datasets)) return;
  datasets = found;
  form.offer(datasets);
}

/** Show the page for an address: "#/?seed=..." is a shared link. */
export function show(hash) {
  if (!datasets.length) return undefined;
  const said = new URLSearchParams(hash.split("?")[1] ?? "");
  if ([...said].length) {
    pinnedModels = form.fromLink(said);
    pinnedByLink = said.has("seed");
    if ((said.get("dataset") ?? "").split(",").length > 2) say("This page mixes two data sets: the others of the link are left out.");
    form.offerModels(datasets);
    if (typeof pinnedModels === "string") control("model").value = pinnedModels;
  }
  form.reflect();
  if ([...said].length || !last) return draw();
  return undefined;
}

function changed(event) {
  if (["o-dataset", "o-other", "o-model"].includes(event.target.id)) pinnedModels = undefined;
  if (event.target.id === "o-dataset") form.offerModels(datasets);
  if (event.target.id === "o-seed") control("pinned").checked = control("seed").value !== "";
  if (event.target.id === "o-pinned") pinnedByLink = false;
  form.reflect();
  // The link is for other names now.
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
  if (!form.check()) return misfit(asked);
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
    form.absolve();
    list(answer);
    next.refresh();
  } catch (error) {
    if (error.name !== "AbortError") tell(error, asked);
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
  if (answer.complete) return say("");
  const [reason, times] = Object.entries(answer.refused).reduce((most, pair) => (pair[1] > most[1] ? pair : most));
  const why = times ? ` Most were refused by “${label(reason)}”.` : "";
  const found = answer.names.length ? `Only ${answer.names.length}` : "None";
  return say(`${found} found in ${answer.attempts.toLocaleString("en")} tries.${why}`);
}

const label = (reason) =>
  ({ ends_with: "Ends with", contains: "Contains", max_length: "Longest", novel: "New names only", unique: "no repeats", safe: "decency" })[
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

/** Let a button say whether its name is kept. */
function marked(button) {
  const word = favourites.has(button.dataset.keeps) ? "Kept" : "Keep";
  button.textContent = word;
  button.setAttribute("aria-pressed", String(word === "Kept"));
  button.setAttribute("aria-label", `${word}: ${button.dataset.keeps}`);
}

function why(name) {
  explain(name, { dataset: datasetText(last.dataset), model: modelText(last.model) }, (prefix) => {
    control("prefix").value = prefix;
    draw();
  });
}

const names = () => (last?.names ?? []).map(({ name }) => name);

const datasetText = (dataset) =>
  typeof dataset === "string" ? dataset : Object.entries(dataset).map((pair) => pair.join(":")).join(",");

const modelText = (model) => (typeof model === "string" ? model : Object.values(model).join(","));

async function copyAll(texts, done) {
  say((await copy(texts.join("\n"))) ? done : "This browser does not let us copy: select the names instead.");
}

function exportCsv() {
  if (!last) return;
  const rows = last.names.map((name) => [name.name, String(name.log_prob), String(name.in_training)]);
  download("names.csv", "text/csv", csv([["name", "log_prob", "in_list"], ...rows]));
}

async function share() {
  if (!last) return;
  const said = form.toLink(last.body, last);
  history.replaceState(null, "", `#/?${said}`);
  const copied = await copy(location.href);
  say(copied ? "Link copied: it gives these very names." : "The link is in the address bar: it gives these very names.");
}

/** Say that a field is wrong. Who asked to draw is led to it; who types is left where he types. */
function misfit(asked) {
  if (asked) form.leadToWrong();
  say("Something does not fit: see the field in red.");
}

/** Say an error in words: beside its field, or with the time after which to try again. */
function tell(error, asked = false) {
  if (!(error instanceof Problem)) throw error;
  const left = form.blame(error.fields);
  if (error.wait) return countDown(error.wait);
  if (error.fields.length && !left.length) return misfit(asked);
  return say(left.length ? left.join("; ") : error.message);
}

function countDown(seconds) {
  let left = Math.ceil(seconds);
  const step = () => {
    say(left > 0 ? `The service is busy. Trying again in ${left} s.` : "Trying again.");
    if (left-- > 0) return;
    clearInterval(counting);
    draw();
  };
  step();
  counting = setInterval(step, 1000);
}
