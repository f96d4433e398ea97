// The computation graph's page.
import { h } from "/playground/dom.js";

export const show = (root) => root.replaceChildren(h("h1", {}, "Computation graph"), h("p", { class: "hint" }, "Not here yet."));
