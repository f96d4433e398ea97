// Kept names, in the browser's local storage. If it is not available, they last as long as the page.

import { $, copy, csv, download, h } from "./dom.js";

const KEY = "namewave.kept";
let kept = load();

function load(otherwise = []) {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((entry) => typeof entry?.name === "string") : [];
  } catch {
    return otherwise;
  }
}

function store() {
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // The storage is full or forbidden: the names stay on the page.
  }
}

export const has = (name) => kept.some((entry) => entry.name === name);

/** Keep or remove a name, and dispatch the event "kept". */
export function toggle(entry) {
  // Another tab may have changed them.
  kept = load(kept);
  kept = has(entry.name) ? kept.filter(({ name }) => name !== entry.name) : [...kept, entry];
  store();
  list();
  document.dispatchEvent(new Event("kept"));
}

function list() {
  $("kept-none").hidden = kept.length > 0;
  for (const id of ["copy-kept", "kept-csv", "kept-text"]) $(id).disabled = !kept.length;
  $("kept").replaceChildren(...kept.map(item));
}

function item(entry) {
  const on = {
    click: () => {
      toggle(entry);
      ($("kept").querySelector("button") ?? $("kept-title")).focus();
    },
  };
  const remove = h("button", { type: "button", class: "small", "aria-label": `Remove: ${entry.name}`, on }, "Remove");
  return h("li", {}, h("span", { class: "kept-name" }, entry.name), h("span", { class: "odds" }, entry.model ?? ""), remove);
}

export function show() {
  const names = () => kept.map(({ name }) => name);
  $("copy-kept").addEventListener("click", async () => {
    const done = await copy(names().join("\n"));
    $("status").textContent = done ? "Kept names copied." : "This browser does not allow copying.";
  });
  $("kept-csv").addEventListener("click", () => {
    download("kept.csv", "text/csv", csv([["name", "model"], ...kept.map(({ name, model }) => [name, model ?? ""])]));
  });
  $("kept-text").addEventListener("click", () => download("kept.txt", "text/plain", names().join("\n") + "\n"));
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    kept = load(kept);
    list();
    document.dispatchEvent(new Event("kept"));
  });
  list();
}
