// A client of the service's public API; errors become exceptions. Independent of any page.

import { askForKey, storedKey } from "./key.js";

/** An error response: `fields` are the `errors` of the problem, `wait` the seconds of Retry-After or null. */
export class Problem extends Error {
  constructor(status, detail, fields = [], wait = null) {
    super(detail);
    Object.assign(this, { status, fields, wait });
  }
}

async function request(path, options = {}) {
  const key = storedKey();
  try {
    return await fetch(path, { ...options, headers: { ...options.headers, ...(key && { "x-api-key": key }) } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service cannot be reached.");
  }
}

async function ask(path, options) {
  const answer = await request(path, options);
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 && (await askForKey())) return ask(path, options);
  const wait = Number(answer.headers.get("retry-after")) || null;
  throw new Problem(answer.status, body.detail ?? `The service answered ${answer.status}.`, body.errors ?? [], wait);
}

export const get = (path, query = {}, signal) => {
  const params = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
  return ask(params.size ? `${path}?${params}` : path, { signal });
};

/** Show a picture of the service in an <img>, which cannot send a key itself. */
export async function show(img, path) {
  if (!storedKey()) {
    img.src = path;
    return;
  }
  const answer = await request(path);
  if (answer.ok) img.src = URL.createObjectURL(await answer.blob());
}

export const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
