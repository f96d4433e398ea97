// Seven calls with types from the OpenAPI document, and no cast.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" });

const generated = await client.POST("/generate", { body: { count: 3, seed: 1, model: "human/lstm@4" } });
if (generated.error) throw new Error(generated.error.detail);
const names: string[] = generated.data.names.map((name) => (typeof name === "string" ? name : name.name));
const plain = await client.POST("/generate", { body: { count: 3 } });
const linked = await client.GET("/generate", { params: { query: { dataset: "animal", seed: 7, count: 2 } } });
const scored = await client.POST("/score", { body: { names: ["Anna"] } });
const next = await client.GET("/next", { params: { query: { prefix: "mar" } } });
const page = await client.GET("/models/{dataset}/{architecture}/{version}", {
  params: { path: { dataset: "human", architecture: "lstm", version: "4" } },
});
const refused = await client.POST("/generate", { body: { temperature: 0 } });

console.log(
  JSON.stringify([
    names,
    plain.data?.names.length,
    linked.data?.seed,
    scored.data?.scores[0]?.in_training,
    next.data?.prefix,
    page.data?.model,
    refused.error?.code,
  ]),
);
