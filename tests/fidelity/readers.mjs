// Reads files with a reader of Node.js: `node readers.mjs READER FILE...`.
//
// Writes a line of JSON for each file: {"value": ...} or {"error": "..."}. What JSON has no
// form for is written as {"$": "text"}: a negative zero, a big integer, undefined.

import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";

const load = (name) => import(name).then((module) => module.default ?? module);

const READERS = {
  "node --env-file": async () => (text) => ({ ...parseEnv(text) }),
  dotenv: async () => (await load("dotenv")).parse,
  "JSON.parse": async () => JSON.parse,
  "JSON.parse by line": async () => (text) =>
    text.split("\n").filter((line) => line).map((line) => JSON.parse(line)),
  "js-yaml": async () => (await import("js-yaml")).load,
  yaml: async () => (await import("yaml")).parse,
  "smol-toml": async () => {
    const { parse } = await import("smol-toml");
    return (text) => parse(text, { integersAsBigInt: true });
  },
  papaparse: async () => {
    const Papa = await load("papaparse");
    return (text) => Papa.parse(text, { delimiter: ",", newline: "\r\n" }).data;
  },
  SheetJS: async () => {
    const { read, utils } = await load("xlsx");
    return (_, bytes) => {
      const book = read(bytes, { cellFormula: true });
      const sheet = book.Sheets[book.SheetNames[0]];
      const formulas = Object.values(sheet).filter((cell) => cell?.f !== undefined);
      if (formulas.length > 0) throw new Error(`${formulas.length} formulas`);
      return utils.sheet_to_json(sheet, { header: 1, raw: true, defval: null });
    };
  },
};

const marked = (value) => {
  if (typeof value === "bigint") return { $: String(value) };
  if (value === undefined) return { $: "undefined" };
  if (Object.is(value, -0)) return { $: "-0.0" };
  if (value instanceof Date) return { $: `date ${value.toISOString()}` };
  if (Array.isArray(value)) return value.map(marked);
  if (value !== null && typeof value === "object") {
    return { o: Object.entries(value).map(([key, member]) => [key, marked(member)]) };
  }
  return value;
};

const [name, ...files] = process.argv.slice(2);
const reader = await READERS[name]();
for (const file of files) {
  let found;
  try {
    const bytes = readFileSync(file);
    found = { value: marked(await reader(bytes.toString("utf8"), bytes)) };
  } catch (error) {
    found = { error: String(error).slice(0, 200) };
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
