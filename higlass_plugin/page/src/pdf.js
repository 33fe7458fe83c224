// A PDF of a picture (scene.js), a file of its own that is loaded when somebody saves one: jsPDF is large.
//
// Letters are Helvetica and Courier, which every reader has, as wide as on the screen; a text with other characters is drawn as an image.

import { jsPDF } from "jspdf";

const SHARPNESS = 3; // pixels of an image for each of the page: readers smooth what they enlarge
const LARGEST = 4096; // pixels of an image's side
const FONTS = [
  [/mono|courier/i, "courier"],
  [/(?<!sans-)serif|times/i, "times"],
  [/./, "helvetica"],
];
// what these fonts have: Latin-1 and what Windows added to it
const KNOWN = /^[\x20-\x7e\xa0-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]*$/;

const fontOf = (family) => FONTS.find(([pattern]) => pattern.test(family.split(",").at(-1)))[1];
const isBold = (weight) => weight === "bold" || Number(weight) >= 600;

function blank(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d")];
}

/** An image with every pixel several times, so that readers that smooth do it within less than a pixel of the page. */
function enlarged(canvas, [a, b, c, d]) {
  const size = Math.max(Math.abs(a) + Math.abs(c), Math.abs(b) + Math.abs(d));
  const times = Math.max(1, Math.min(Math.ceil(SHARPNESS * size), Math.floor(LARGEST / Math.max(canvas.width, canvas.height))));
  const [large, pencil] = blank(canvas.width * times, canvas.height * times);
  pencil.imageSmoothingEnabled = false;
  pencil.drawImage(canvas, 0, 0, large.width, large.height);
  return large;
}

/** A text that the fonts do not have, as an image and where it lies. */
function pictured({ text, matrix, width, size, family, weight, color, alpha }) {
  const times = 2 * SHARPNESS;
  const [canvas, pencil] = blank(Math.ceil((width + 2) * times), Math.ceil(1.6 * size * times));
  pencil.scale(times, times);
  Object.assign(pencil, { font: `${weight} ${size}px ${family}`, fillStyle: color, globalAlpha: alpha });
  pencil.fillText(text, 0, 1.2 * size);
  const [a, b, c, d, e, f] = matrix;
  const up = -1.2 * size;
  return { canvas, matrix: [a / times, b / times, c / times, d / times, e + c * up, f + d * up] };
}

/** A strip of the colours of a scale. */
function strip({ x, y, width, height, colours, isUpright }) {
  const [canvas, pencil] = blank(isUpright ? 1 : 256, isUpright ? 256 : 1);
  const fill = pencil.createLinearGradient(0, isUpright ? 256 : 0, isUpright ? 0 : 256, 0);
  colours.forEach((colour, n) => fill.addColorStop(colours.length > 1 ? n / (colours.length - 1) : 0, colour));
  pencil.fillStyle = fill;
  pencil.fillRect(0, 0, canvas.width, canvas.height);
  return { canvas, matrix: [width / canvas.width, 0, 0, height / canvas.height, x, y] };
}

class Writer {
  constructor({ width, height, title }) {
    this.height = height;
    this.doc = new jsPDF({ unit: "px", format: [width, height], orientation: width > height ? "l" : "p", compress: true, hotfixes: ["px_scaling"] });
    this.doc.setProperties({ title, creator: "orca-cool" });
    this.number = 0;
  }

  path(rings, isOpen) {
    for (const ring of rings) {
      ring.forEach(([x, y], n) => (n ? this.doc.lineTo(x, y) : this.doc.moveTo(x, y)));
      if (!isOpen) this.doc.close();
    }
  }

  clip({ rect: [left, top, right, bottom], regions }) {
    for (const rings of [[[[left, top], [right, top], [right, bottom], [left, bottom]]], ...regions]) {
      this.path(rings);
      this.doc.clip();
      this.doc.discardPath();
    }
  }

  opacity(fill, stroke = 1) {
    if (fill < 1 || stroke < 1) this.doc.setGState(new this.doc.GState({ opacity: fill, "stroke-opacity": stroke }));
  }

  shape({ rings, isOpen, hasHoles, fill, stroke }) {
    this.opacity(fill?.alpha ?? 1, stroke?.alpha ?? 1);
    if (fill) this.doc.setFillColor(fill.color);
    if (stroke) this.doc.setDrawColor(stroke.color).setLineWidth(stroke.width);
    this.path(rings, isOpen);
    if (fill && stroke) hasHoles ? this.doc.fillStrokeEvenOdd() : this.doc.fillStroke();
    else if (fill) hasHoles ? this.doc.fillEvenOdd() : this.doc.fill();
    else this.doc.stroke();
  }

  placed([a, b, c, d, e, f], what) {
    this.doc.saveGraphicsState();
    this.doc.setCurrentTransformationMatrix(this.doc.Matrix(a, b, c, d, e, f));
    what();
    this.doc.restoreGraphicsState();
  }

  bitmap(canvas, matrix) {
    this.placed(matrix, () => this.doc.addImage(canvas, "PNG", 0, 0, canvas.width, canvas.height, `image-${(this.number += 1)}`, "FAST"));
  }

  image({ canvas, matrix }) {
    const large = enlarged(canvas, matrix);
    const times = large.width / canvas.width;
    const [a, b, c, d, e, f] = matrix;
    this.bitmap(large, [a / times, b / times, c / times, d / times, e, f]);
  }

  gradient(mark) {
    const { canvas, matrix } = strip(mark);
    this.image({ canvas, matrix });
  }

  text(mark) {
    if (!KNOWN.test(mark.text)) {
      const { canvas, matrix } = pictured(mark);
      this.bitmap(canvas, matrix);
      return;
    }
    const { text, matrix, width, size, family, weight, color, alpha, halo } = mark;
    this.doc.setFont(fontOf(family), isBold(weight) ? "bold" : "normal").setFontSize(size * 0.75).setTextColor(color);
    this.opacity(alpha);
    const own = this.doc.getTextWidth(text);
    this.placed(matrix, () => {
      const options = { horizontalScale: own > 0 ? width / own : 1 };
      if (halo) {
        this.doc.setDrawColor(halo.color).setLineWidth(halo.width);
        this.doc.text(text, 0, 0, { ...options, renderingMode: "stroke" });
      }
      this.doc.text(text, 0, 0, options);
    });
  }
}

/** A PDF whose page is as large as the picture; a pixel is 1/96 inch. */
export function toPdf(picture) {
  const writer = new Writer(picture);
  writer.doc.advancedAPI(() => {
    writer.doc.setFillColor(picture.ground);
    writer.doc.rect(0, 0, picture.width, picture.height, "F");
    for (const mark of picture.marks) {
      writer.doc.saveGraphicsState();
      writer.clip(mark.clip);
      writer[mark.kind](mark);
      writer.doc.restoreGraphicsState();
    }
  });
  return writer.doc.output("blob");
}
