// Files that are dropped on the page: variants of a VCF and regions of a BED are listed, a sequence of a FASTA is to be inserted.

import { attempt, element } from "./dom.js";
import { asEdit, openEdit } from "./edits.js";
import { showList } from "./list.js";
import { current, goTo } from "./page.js";
import { offsets, placeOf, readRegion } from "./region.js";
import { about, reference } from "./views.js";

const SHORT = 40; // characters of a name in it

const lines = (text) => text.replace(/\r\n?/g, "\n").split("\n").filter((line) => line.trim());
const short = (text) => (text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text);

/** What a text is: "fasta", "vcf", "bed", or "edit" of everything else. */
export function kindOf(text, name = "") {
  const first = lines(text).find((line) => !/^(#|track|browser)/.test(line)) ?? "";
  const cells = first.split(/\t| +/);
  if (text.startsWith(">")) return "fasta";
  if (/^##fileformat=VCF|^#CHROM\t/m.test(text) || /\.vcf$/i.test(name)) return "vcf";
  if (cells.length >= 3 && /^\d+$/.test(cells[1]) && /^\d+$/.test(cells[2])) return "bed";
  return cells.length >= 5 && first.includes("\t") && /^\d+$/.test(cells[1]) ? "vcf" : "edit";
}

function variants(text) {
  const header = lines(text).filter((line) => line.startsWith("#"));
  return lines(text)
    .filter((line) => !line.startsWith("#"))
    .map((line) => {
      const [chrom, position, id, ref, alt] = line.split("\t");
      const name = id && id !== "." ? id : `${chrom}:${Number(position).toLocaleString("en-GB")} ${short(ref ?? "")}>${short(alt ?? "")}`;
      const plain = line.split("\t").slice(0, 8).join("\t"); // scores need no header, which may be long, and no genotypes
      return { name, vcf: plain, go: (instead) => openEdit({ vcf: [...header, line, ""].join("\n") }, instead) };
    });
}

function regions(text) {
  const { chromsizes = [] } = about(reference(current()));
  return lines(text)
    .filter((line) => !/^(#|track|browser)/.test(line))
    .map((line) => {
      const [chrom, start, end, name] = line.split(/\t| +/);
      const where = `${chrom}:${start}-${end}`;
      const go = () => {
        const place = readRegion(where, chromsizes);
        if (!place) throw new Error(`${where}: this is no place in this genome`);
        const margin = Math.max(10000, place.domain[1] - place.domain[0]);
        element("region").value = where;
        goTo([place.domain[0] - margin, place.domain[1] + margin]);
      };
      return { name: name && name !== "." ? `${short(name)} ${where}` : where, go };
    });
}

/** The sequence of a FASTA, to be inserted in the middle of what is seen: the box of edits says so, and Enter makes it. */
function sequence(text) {
  const records = text.split(/^>/m).filter((record) => record.trim());
  if (records.length > 1) throw new Error(`the FASTA has ${records.length.toLocaleString("en-GB")} sequences; drop one with the sequence that is to be inserted`);
  const letters = lines(records[0]).slice(1).join("").replace(/\s/g, "").toUpperCase();
  if (!letters) throw new Error("the FASTA has no sequence");
  const { chromsizes = [] } = about(reference(current()));
  const [start, end] = reference(current()).initialXDomain;
  const [chrom, position] = placeOf((start + end) / 2, chromsizes);
  element("edit").value = `${chrom}:${position.toLocaleString("en-GB")} ins ${letters}`;
  element("edit").focus();
  element("edit").setSelectionRange(chrom.length + 1, element("edit").value.indexOf(" ins "));
}

/** Does with a text what its kind asks for. */
export async function take(text, name = "") {
  const kind = kindOf(text, name);
  if (kind === "fasta") return sequence(text);
  if (kind === "bed") return showList(name || "regions", regions(text));
  if (kind === "vcf") {
    const found = variants(text);
    if (found.length > 1) return showList(name || "variants", found, () => openEdit({ vcf: text }));
    return openEdit({ vcf: text });
  }
  return openEdit(asEdit(text));
}

export function listenToDrops() {
  let inside = 0; // elements that are dragged over: leaving one for a child of it is not leaving the page
  const mark = () => document.body.classList.toggle("dropping", inside > 0);
  document.addEventListener("dragenter", () => {
    inside += 1;
    mark();
  });
  document.addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    mark();
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener(
    "drop",
    attempt(async (event) => {
      inside = 0;
      mark();
      const [file] = event.dataTransfer.files;
      if (file && /\.(gz|bgz|bcf)$/i.test(file.name)) throw new Error(`${file.name} is compressed; drop it decompressed`);
      await take(file ? await file.text() : event.dataTransfer.getData("text/plain"), file?.name);
    }),
  );
}
