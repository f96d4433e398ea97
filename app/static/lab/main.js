// Entry point of the lab: route an address ("#/start", "#/graph", "#/wavenet") to its page. Each page is a module that
// exports show(root), and is loaded on first use.

import { $, h } from "../../playground/dom.js";

const PAGES = {
  start: ["Initialisation", () => import("./start.js")],
  graph: ["Graph", () => import("./graph.js")],
  wavenet: ["WaveNet", () => import("./wavenet.js")],
};

async function route() {
  const [, wanted] = location.hash.split("?")[0].split("/");
  const page = Object.hasOwn(PAGES, wanted ?? "") ? wanted : "start";
  for (const id of Object.keys(PAGES)) $(id).hidden = id !== page;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${page}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [title, fetched] = PAGES[page];
  document.title = `${title} · Namewave lab`;
  const root = $(page);
  // Build a page that failed again from the start.
  if (root.dataset.failed) root.replaceChildren();
  root.dataset.failed = "";
  try {
    const { show } = await fetched();
    await show(root);
  } catch (error) {
    root.dataset.failed = "yes";
    root.replaceChildren(h("h1", {}, title), h("p", { class: "status", role: "alert" }, error.message));
  }
}

// The address selects the page, so the skip link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
window.addEventListener("hashchange", async () => {
  await route();
  window.scrollTo(0, 0);
  $("main").focus({ preventScroll: true });
});
route();
