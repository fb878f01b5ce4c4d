// Save the winner's config:  node fetch.mjs best.env
//
// EXPORT_URL is http://HOST/experiments/ID/export, EXPORT_TOKEN a token for it.
import { createHash } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import process from "node:process";

const { EXPORT_URL, EXPORT_TOKEN } = process.env;
const file = process.argv[2];

const response = await fetch(`${EXPORT_URL}?format=env`, {
  headers: {
    Authorization: `Bearer ${EXPORT_TOKEN}`,
    // The digest covers the bytes as sent, so ask for them uncompressed.
    "Accept-Encoding": "identity",
  },
  redirect: "error",
});
if (response.status !== 200) {
  // The body of a refusal says what to do.
  throw new Error(`${response.status}: ${await response.text()}`);
}

const body = Buffer.from(await response.arrayBuffer());
const digest = createHash("sha256").update(body).digest("base64");
if (response.headers.get("Repr-Digest") !== `sha-256=:${digest}:`) {
  throw new Error("The download is incomplete.");
}

await writeFile(`${file}.new`, body);
await rename(`${file}.new`, file);
