// A renderer of the Markdown in model cards: headings, paragraphs, lists, tables, code, emphasis, links and pictures. It
// makes elements with text, never markup.

import { h } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|!\[([^\]]*)\]\(([^)\s]+)\)|\[([^\]]+)\]\(([^)\s]+)\)/g;

function inline(text, files) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(at, found.index));
    at = found.index + found[0].length;
    const [, code, strong, em, alt, picture, words, link] = found;
    if (code) parts.push(h("code", {}, code));
    else if (strong) parts.push(h("strong", {}, strong));
    else if (em) parts.push(h("em", {}, em));
    else if (picture) parts.push(files[picture]?.(alt) ?? alt);
    else parts.push(/^https?:\/\//.test(link) ? h("a", { href: link, rel: "noreferrer" }, words) : words);
  }
  return [...parts, text.slice(at)];
}

const cells = (line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function table(lines, files) {
  const [head, , ...rows] = lines.map(cells);
  const named = head.some(Boolean);
  const body = rows.map((row) => h("tr", {}, ...row.map((cell, k) => h(k ? "td" : "th", k ? {} : { scope: "row" }, ...inline(cell, files)))));
  const top = named ? h("thead", {}, h("tr", {}, ...head.map((cell) => (cell ? h("th", { scope: "col" }, cell) : h("td", {}))))) : null;
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" }, h("table", {}, top, h("tbody", {}, ...body)));
}

/** Return elements for `text`; `files` maps the names of pictures to functions that make their elements; headings begin at level `top`. */
export function markdown(text, files, top = 2) {
  const blocks = text.trim().split(/\n{2,}/);
  return blocks.map((block) => {
    const lines = block.split("\n");
    const heading = /^(#+) (.*)$/.exec(lines[0]);
    if (heading) return h(`h${Math.min(6, top - 1 + heading[1].length)}`, {}, ...inline(heading[2], files));
    if (lines[0].startsWith("```")) {
      const code = lines.slice(1).filter((line) => !line.startsWith("```")).join("\n");
      return h("pre", { tabindex: "0", role: "group", "aria-label": "Code" }, h("code", {}, code));
    }
    if (lines.length > 1 && /^\|( *:?-+:? *\|)+$/.test(lines[1])) return table(lines, files);
    if (lines.every((line) => /^[-*] |^ {2}/.test(line))) {
      const items = block.split(/\n(?=[-*] )/).map((line) => line.replace(/^[-*] /, "").replace(/\s+/g, " "));
      return h("ul", {}, ...items.map((line) => h("li", {}, ...inline(line, files))));
    }
    return h("p", {}, ...inline(lines.join(" "), files));
  });
}
