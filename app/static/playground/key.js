// The API key of this tab, where the service needs one: a dialog asks for it, and it lasts as long as the tab.

import { h } from "./dom.js";

const STORED = "namewave-key";
let asking = null;

export const storedKey = () => sessionStorage.getItem(STORED) ?? "";

/** Ask for a key; return whether there is a new one. Requests that fail together share one dialog. */
export function askForKey() {
  asking ??= openDialog().finally(() => (asking = null));
  return asking;
}

function openDialog() {
  const reason = storedKey() ? "This API key is not valid." : "This service needs an API key.";
  const input = h("input", { id: "key", type: "password", pattern: "[!-~]+", autocomplete: "off", spellcheck: "false", required: true });
  const cancel = h("button", { type: "button" }, "Cancel");
  const form = h(
    "form",
    { class: "key" },
    h("h2", { id: "key-title" }, "API key"),
    h("p", {}, reason),
    h("label", { for: "key" }, "Your key, kept until this tab is closed"),
    input,
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Use this key"), cancel),
  );
  const dialog = h("dialog", { "aria-labelledby": "key-title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(STORED, input.value.trim());
      dialog.close();
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(input.value.trim() !== "" && storedKey() === input.value.trim());
    });
    dialog.showModal();
  });
}
