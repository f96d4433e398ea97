// Entry point: route an address to its page. "#/", "#/models", "#/models/human/lstm/5", "#/compare".

import { $ } from "./dom.js";
import * as pages from "./models.js";
import * as play from "./play.js";

const VIEWS = ["play", "models", "compare"];

async function route() {
  const [, page = "", ...rest] = location.hash.split("?")[0].split("/");
  const view = VIEWS.includes(page) ? page : "play";
  for (const id of VIEWS) $(id).hidden = id !== view;
  document.body.dataset.view = view;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === (view === "play" ? "#/" : `#/${view}`);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "play" ? "Namewave" : `${rest.length ? rest.join("/") : view} · Namewave`;
  if (view === "play") return play.show(location.hash);
  if (view === "compare") return pages.showCompare($("compare"));
  return rest.length === 3 ? pages.showOne($("models"), ...rest) : pages.showAll($("models"));
}

// The address selects the page, so the skip link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
window.addEventListener("hashchange", async () => {
  await route();
  window.scrollTo(0, 0);
  if (document.body.dataset.view !== "play") $("main").focus({ preventScroll: true });
});
route();
play.start();
