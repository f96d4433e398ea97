// Pages about models: all of them, one with its card and pictures, and two side by side at the same seed.

import { get, post, show } from "./api.js";
import { $, h, fill, oneIn } from "./dom.js";
import { markdown } from "./markdown.js";

const PARTS = ["train", "dev", "test"];

function failed(place, error) {
  place.replaceChildren(h("p", { class: "status", role: "alert" }, error.message));
}

function table(caption, models, current) {
  const head = ["model", "parameters", ...PARTS].map((text) => h("th", { scope: "col" }, text));
  const rows = models.map((model) => {
    const link = h("a", { href: `#/models/${model.model.replace("@", "/")}`, "aria-current": model.model === current && "page" }, model.model);
    const losses = PARTS.map((part) => h("td", {}, (model.losses[part] ?? NaN).toFixed(4)));
    return h("tr", {}, h("th", { scope: "row" }, link), h("td", {}, model.parameters.toLocaleString("en")), ...losses);
  });
  const inner = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, inner);
}

const NOTE = "Losses in nats per character, end of name included: lower is better.";

/** The list of all models, by data set. */
export async function showAll(place) {
  try {
    const [datasets, { models, refused }] = await Promise.all([get("datasets"), get("models")]);
    const tables = datasets.map(({ dataset, title, names, licence, default: served }) => [
      h("h2", {}, dataset),
      h("p", {}, `${title}: ${names.toLocaleString("en")} names${licence ? `, ${licence}` : ""}. The default is ${served ?? "none"}.`),
      table(`Models of ${dataset}`, models.filter(({ model }) => model.startsWith(`${dataset}/`))),
    ]);
    const gone = Object.entries(refused).map(([model, reason]) => h("li", {}, `${model}: ${reason}`));
    const out = gone.length ? [h("h2", {}, "Refused"), h("ul", {}, ...gone)] : [];
    place.replaceChildren(h("h1", {}, "Models"), h("p", { class: "hint" }, NOTE), ...tables.flat(), ...out);
  } catch (error) {
    failed(place, error);
  }
}

/** One version: its card, its pictures, and its figures beside those of the other versions. */
export async function showOne(place, dataset, architecture, version) {
  const address = `models/${dataset}/${architecture}/${version}`;
  try {
    const [page, { models }] = await Promise.all([get(address), get("models")]);
    const others = models.filter(({ model }) => model.startsWith(`${dataset}/`));
    const picture = (name) => (alt) => {
      const img = h("img", { alt, loading: "lazy" });
      show(img, `${address}/files/${name}`).catch(() => undefined);
      return img;
    };
    const files = Object.fromEntries(Object.keys(page.files).map((name) => [name, picture(name)]));
    const pictures = Object.keys(page.files).filter((name) => /\.(png|svg)$/.test(name) && !page.card.includes(`(${name})`));
    const title = (name) => name.replace(/\..*/, "");
    const figure = (name) => h("figure", {}, files[name](`${title(name)} of ${page.model}`), h("figcaption", {}, title(name)));
    const card = markdown(page.card.replace(/^# .*\n/, ""), files, 1);
    const pages = pictures.length ? [h("h2", {}, "Inside"), h("div", { class: "pictures" }, ...pictures.map(figure))] : [];
    const play = h("a", { href: `#/?dataset=${dataset}&model=${page.model}` }, "Play with this model");
    place.replaceChildren(
      h("h1", {}, page.model),
      h("p", {}, play),
      ...card,
      h("h2", {}, "Compared with the other versions"),
      h("p", { class: "hint" }, NOTE),
      table(`Versions of ${dataset}`, others, page.model),
      ...pages,
    );
  } catch (error) {
    failed(place, error);
  }
}

/** Two models' names at the same seed. */
export async function showCompare(place) {
  try {
    const { models } = await get("models");
    const options = models.map(({ model }) => [model, model]);
    const [one, two] = ["first", "second"].map((id) => h("select", { id }));
    fill(one, options);
    fill(two, options);
    one.value = options.find(([model]) => model.startsWith("human/bigram"))?.[0] ?? options[0][0];
    two.value = options.findLast(([model]) => model.startsWith("human/lstm"))?.[0] ?? options.at(-1)[0];
    const seed = h("input", { id: "compare-seed", inputmode: "numeric", value: "7" });
    const lists = h("div", { class: "two" });
    const status = h("p", { class: "status", role: "status" });
    let latest = 0;
    const draw = async () => {
      // Only the last request counts, in whatever order the answers arrive.
      const mine = (latest += 1);
      const ask = (model) => post("generate", { model, dataset: model.split("/")[0], seed: Number(seed.value) || 0, count: 12, details: true, unique: false });
      try {
        const answers = await Promise.all([ask(one.value), ask(two.value)]);
        if (mine !== latest) return;
        status.textContent = "";
        lists.replaceChildren(...answers.map((answer) => column(answer)));
      } catch (error) {
        status.textContent = error.message;
      }
    };
    const again = () => ((seed.value = String(Math.floor(Math.random() * 1e9))), draw());
    const field = (label, input) => h("div", { class: "field wide" }, h("label", { for: input.id }, label), input);
    for (const input of [one, two, seed]) input.addEventListener("input", draw);
    const button = h("button", { type: "button", class: "primary", on: { click: again } }, "Another seed");
    place.replaceChildren(
      h("h1", {}, "Two models, one seed"),
      h("p", { class: "hint" }, "Each candidate has the same random numbers in both models: names differ only because the models learned different things."),
      h("form", { class: "compare", on: { submit: (event) => (event.preventDefault(), draw()) } }, field("First model", one), field("Second model", two), field("Seed to compare at", seed), button),
      status,
      lists,
    );
    await draw();
  } catch (error) {
    failed(place, error);
  }
}

function column(answer) {
  const items = answer.names.map(({ name, log_prob: logProb, in_training: known }) =>
    h("li", {}, h("span", { class: "kept-name" }, name), h("span", { class: "odds" }, oneIn(logProb)), h("span", { class: known ? "tag known" : "tag" }, known ? "in the list" : "new")),
  );
  return h("section", { "aria-label": answer.model }, h("h2", {}, answer.model), h("ol", { class: "kept" }, ...items));
}
