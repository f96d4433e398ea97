// The service's public API, and its errors as exceptions. Nothing of the page is known here.

/** An answer that is an error: `fields` are those of the problem, `wait` the seconds of Retry-After or null. */
export class Problem extends Error {
  constructor(status, detail, fields = [], wait = null) {
    super(detail);
    Object.assign(this, { status, fields, wait });
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service cannot be reached.");
  }
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  const wait = Number(answer.headers.get("retry-after")) || null;
  throw new Problem(answer.status, told.detail ?? `The service answered ${answer.status}.`, told.errors ?? [], wait);
}

export const get = (path, query = {}, signal) => {
  const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
  return ask(said.size ? `${path}?${said}` : path, { signal });
};

export const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
