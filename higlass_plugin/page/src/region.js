// Places in a genome: text to HiGlass's coordinates (chromosomes laid end to end) and back. 0-based, end-exclusive.

const NUMBER = "[\\d,.]+[kKmM]?";
const REGION = new RegExp(`^(\\S+?)(?::(${NUMBER})-(?:(\\S+):)?(${NUMBER}))?$`);

function bases(text) {
  const unit = { k: 1e3, m: 1e6 }[text.slice(-1).toLowerCase()] ?? 1;
  return Math.round(Number(text.replace(/[,kKmM]/g, "")) * unit);
}

/** Where each chromosome begins. */
export function offsets(chromsizes) {
  let at = 0;
  return new Map(chromsizes.map(([chrom, size]) => [chrom, (at += size) - size]));
}

/** [start, end] of "chrII", "chrII:200,000-300k" or "chrI:200k-chrII:10k"; null if it is no place in this genome. */
export function parseRegion(text, chromsizes) {
  const found = REGION.exec(text.trim());
  const sizes = new Map(chromsizes);
  if (!found || !sizes.has(found[1]) || !sizes.has(found[3] ?? found[1])) return null;
  const [, first, start, last = first, end] = found;
  const begins = offsets(chromsizes);
  const domain = start === undefined ? [0, sizes.get(first)] : [bases(start), bases(end)];
  if (!(domain[0] <= sizes.get(first))) return null;
  const absolute = [begins.get(first) + domain[0], begins.get(last) + Math.min(domain[1], sizes.get(last))];
  return absolute[0] < absolute[1] ? absolute : null;
}

/** A range of HiGlass's coordinates as text, cut to the genome. */
export function formatRegion([start, end], chromsizes) {
  const total = chromsizes.reduce((sum, [, size]) => sum + size, 0);
  const begins = [...offsets(chromsizes)].reverse();
  // The end of a chromosome is the start of the next one; as an end it belongs to the former.
  const place = (position, isEnd) => {
    const [chrom, begin] = begins.find(([, at]) => (isEnd ? at < position : at <= position));
    return [chrom, Math.round(position - begin).toLocaleString("en-GB")];
  };
  const [first, from] = place(Math.max(0, Math.min(start, total - 1)), false);
  const [last, to] = place(Math.max(1, Math.min(end, total)), true);
  return first === last ? `${first}:${from}-${to}` : `${first}:${from}-${last}:${to}`;
}
