// Prints the licences of everything that can be in the bundle: all packages that the page depends on, one text for those that share it.

import { readFileSync, readdirSync } from "node:fs";

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const holders = new Map();

for (const [path, { version, license, dev, optional }] of Object.entries(packages)) {
  if (!path || dev || optional) continue;
  const file = readdirSync(path).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file ? readFileSync(`${path}/${file}`, "utf8").replace(/\r/g, "").trim() : `Licence: ${license} (the package ships no text)`;
  const name = `${path.replace(/^.*node_modules\//, "")} ${version} (${license})`;
  holders.set(text, [...(holders.get(text) ?? []), name]);
}

console.log("The page is made of orca-cool's own code (MIT) and of the packages below.\n");
for (const [text, names] of holders) console.log(`${"-".repeat(80)}\n${[...new Set(names)].sort().join("\n")}\n\n${text}\n`);
