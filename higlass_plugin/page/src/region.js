// Places in a genome: text to HiGlass's coordinates (chromosomes laid end to end) and back. 0-based, end-exclusive.

const NUMBER = "\\d[\\d,_]*(?:\\.\\d+)?[kKmM]?(?:[bB][pP]?)?";
const DASH = "(?:\\.\\.+|[-–—]|\\s+(?:to\\s+)?)";
// "chrII", "chrII:5000", "chrII:200,000-300k", "chrI:200k-chrII:10k", with spaces, tabs or ".." in the place of ":" and "-"
const REGION = new RegExp(`^(\\S+?)(?:(?:\\s*:\\s*|\\s+)(${NUMBER})(?:\\s*${DASH}\\s*(?:(\\S+?)(?:\\s*:\\s*|\\s+))?(${NUMBER}))?)?$`);

/** bp around a position that was given without an end. */
const AROUND = 5000;

function bases(text) {
  const [, digits, unit] = /^(.*?)([kKmM]?)(?:[bB][pP]?)?$/.exec(text);
  return Math.round(Number(digits.replace(/[,_]/g, "")) * ({ k: 1e3, m: 1e6 }[unit.toLowerCase()] ?? 1));
}

/** Where each chromosome begins. */
export function offsets(chromsizes) {
  let at = 0;
  return new Map(chromsizes.map(([chrom, size]) => [chrom, (at += size) - size]));
}

const plain = (name) => name.toLowerCase().replace(/^chr/, "");

/** A number from 1 to 39 in Roman numerals, in small letters. */
function roman(number) {
  const letters = [[10, "x"], [9, "ix"], [5, "v"], [4, "iv"], [1, "i"]];
  return letters.reduce(([text, left], [value, letter]) => [text + letter.repeat(left / value), left % value], ["", number])[0];
}

/** A plain name in the numerals that a genome has: "2" is "ii" where there is no 2, and "i"; else undefined. The tenth is "x" only behind a ninth: alone that is a sex chromosome. */
function inRoman(name, names) {
  const number = /^[1-9]\d?$/.test(name) ? Number(name) : 0;
  const isNumbered = number > 0 && number < 40 && names.includes("i") && !names.some((other) => /^\d+$/.test(other));
  return isNumbered && (number !== 10 || names.includes("ix")) ? roman(number) : undefined;
}

/** The genome's name of a chromosome that is written in another case, with "chr" too much or too little, or by an Arabic number where the genome has Roman ones; undefined if there is none. */
export function chromosome(text, chromsizes) {
  const names = chromsizes.map(([name]) => name);
  const same = (name) => name.toLowerCase() === text.toLowerCase();
  const named = (wanted) => names.find((name) => plain(name) === wanted);
  return names.find((name) => name === text) ?? names.find(same) ?? named(plain(text)) ?? named(inRoman(plain(text), names.map(plain)));
}

/** What a text says of a place: {domain, note}, [start, end] and what was changed of it in words ("" if nothing); null if it is no place in this genome. */
export function readRegion(text, chromsizes) {
  const found = REGION.exec(text.trim());
  const sizes = new Map(chromsizes);
  const first = found && chromosome(found[1], chromsizes);
  const last = found?.[3] === undefined ? first : chromosome(found[3], chromsizes);
  if (!first || !last) return null;
  const begins = offsets(chromsizes);
  const [from, to] = [found[2], found[4]].map((number) => (number === undefined ? undefined : bases(number)));
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  const start = from === undefined ? 0 : to === undefined ? Math.max(0, from - AROUND) : from;
  const end = from === undefined ? sizes.get(first) : (to ?? from + AROUND);
  if (start >= sizes.get(first) || (to === undefined && from > sizes.get(first))) return null;
  const cut = to !== undefined && to > sizes.get(last);
  const domain = [begins.get(first) + start, begins.get(last) + Math.min(end, sizes.get(last))];
  if (domain[0] >= domain[1]) return null;
  return { domain, note: cut ? `${last} ends at ${sizes.get(last).toLocaleString("en-GB")}: shown up to there` : "" };
}

/** [start, end] of a text; null if it is no place in this genome. */
export function parseRegion(text, chromsizes) {
  return readRegion(text, chromsizes)?.domain ?? null;
}

/** Why a text that looks like a region is none of this genome; null if it does not look like one. */
export function regionProblem(text, chromsizes) {
  const found = REGION.exec(text.trim());
  if (!found || found[2] === undefined) return null;
  const names = [found[1], found[3] ?? found[1]];
  const unknown = names.find((name) => !chromosome(name, chromsizes));
  if (unknown) return `${text}: there is no chromosome ${unknown}; there are ${chromsizes.slice(0, 5).map(([name]) => name).join(", ")}${chromsizes.length > 5 ? ", ..." : ""}`;
  const first = chromosome(found[1], chromsizes);
  const size = new Map(chromsizes).get(first);
  if (bases(found[2]) >= size) return `${text}: ${first} ends at ${size.toLocaleString("en-GB")}`;
  return `${text}: the end does not lie behind the start`;
}

/** A position of HiGlass's coordinates as [chromosome, position]. The end of a chromosome is the start of the next one; `isEnd` says which. */
export function placeOf(position, chromsizes, isEnd = false) {
  const [chrom, begin] = [...offsets(chromsizes)].reverse().find(([, at]) => (isEnd ? at < position : at <= position)) ?? [chromsizes[0][0], 0];
  return [chrom, Math.round(position - begin)];
}

/** A range of HiGlass's coordinates as text, cut to the genome. */
export function formatRegion([start, end], chromsizes) {
  const total = chromsizes.reduce((sum, [, size]) => sum + size, 0);
  const place = (position, isEnd) => {
    const [chrom, at] = placeOf(position, chromsizes, isEnd);
    return [chrom, at.toLocaleString("en-GB")];
  };
  const [first, from] = place(Math.max(0, Math.min(start, total - 1)), false);
  const [last, to] = place(Math.max(1, Math.min(end, total)), true);
  return first === last ? `${first}:${from}-${to}` : `${first}:${from}-${last}:${to}`;
}
