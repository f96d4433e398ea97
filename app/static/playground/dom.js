// Helpers for the page's elements. Text is always set as text, so that no name can become markup.

export const $ = (id) => document.getElementById(id);

/** A control of the form. The ids begin with "o-", because a plain "contains" would hide the form's own method. */
export const control = (name) => $(`o-${name}`);

/** Make an element: properties by name, `on` for listeners, `data` for data-*, the rest as attributes; then children. */
export function h(tag, { on = {}, data = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Fill a <select> with [value, label] pairs and keep the selection if it is still there. */
export function fill(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => h("option", { value }, label)));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

/** A bar whose length is `share` of the whole. The style is set by script, because the Content-Security-Policy forbids style attributes. */
export function bar(share) {
  const element = h("span", { class: "bar", "aria-hidden": "true" });
  element.style.setProperty("--share", String(Math.min(1, Math.max(0.004, share))));
  return element;
}

export const percent = (p) => (p >= 0.1 ? `${Math.round(p * 100)} %` : `${(p * 100).toFixed(p >= 0.01 ? 1 : 2)} %`);

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 2, compactDisplay: "long" });

const inWords = (logProb) => compact.format(Math.max(1, Math.exp(-logProb)));

/** "1 in 3.2 million", from a natural logarithm. */
export const oneIn = (logProb) => (logProb > -34 ? `1 in ${inWords(logProb)}` : "hardly ever");

/** "about once in 3.2 million names". */
export const onceIn = (logProb) => (logProb > -34 ? `about once in ${inWords(logProb)} names` : "hardly ever");

export const letter = (character) => (character === "." ? "end" : character === " " ? "space" : character);

/** Download `text` as a file. */
export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Rows of a CSV file after RFC 4180. */
export const csv = (rows) => rows.map((row) => row.map(quoted).join(",") + "\r\n").join("");

/** Copy `text` to the clipboard; return false if the browser refuses. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
