// Pictures of what is shown, all of the same marks (scene.js): PNG of any number of pixels, SVG, and PDF (pdf.js).

import { element } from "./dom.js";
import { box, common, sceneMarks } from "./scene.js";
import { colourOf, surroundings } from "./surroundings.js";

const SVG = "http://www.w3.org/2000/svg";
const XLINK = "http://www.w3.org/1999/xlink";

/** The colour that lies behind the grid. */
function ground() {
  for (let node = element("grid"); node; node = node.parentElement) {
    const { color, alpha } = colourOf(window.getComputedStyle(node).backgroundColor);
    if (alpha === 1) return color;
  }
  return "#ffffff";
}

/** What is on the screen: {width, height, ground, title, marks}. */
export function picture(component, title) {
  // whole pixels, so that those of a PNG are the screen's
  const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map((side) => Math.round(element("grid").getBoundingClientRect()[side]));
  const corner = { left, top, width: right - left, height: bottom - top };
  const from = (node) => {
    const place = node.getBoundingClientRect();
    return [place.left - left, place.top - top, place.right - left, place.bottom - top];
  };
  const canvas = from(element("higlass").querySelector("canvas"));
  const seen = [canvas, from(element("window")), [0, 0, corner.width, corner.height]].reduce(common);
  const { behind, over, around } = surroundings(corner, seen);
  const marks = [...behind, ...sceneMarks(component, canvas.slice(0, 2), seen), ...over, ...around];
  return { width: corner.width, height: corner.height, ground: ground(), title, marks };
}

/** Marks in groups of those that are clipped by the same. */
function grouped(marks) {
  const groups = [];
  for (const mark of marks) {
    const key = JSON.stringify(mark.clip);
    if (groups.at(-1)?.key === key) groups.at(-1).marks.push(mark);
    else groups.push({ key, clip: mark.clip, marks: [mark] });
  }
  return groups;
}

const fontOf = ({ weight, size, family }) => `${weight} ${size}px ${family}`;

/** Draws marks on a canvas whose pixels are `scale` times those of the page. */
export function draw(pencil, { width, height, ground: behind, marks }, scale) {
  const path = (rings, isOpen) => {
    pencil.beginPath();
    for (const ring of rings) {
      ring.forEach(([x, y], n) => (n ? pencil.lineTo(x * scale, y * scale) : pencil.moveTo(x * scale, y * scale)));
      if (!isOpen) pencil.closePath();
    }
  };
  const hands = {
    shape({ rings, isOpen, hasHoles, fill, stroke }) {
      path(rings, isOpen);
      if (fill) {
        Object.assign(pencil, { fillStyle: fill.color, globalAlpha: fill.alpha });
        pencil.fill(hasHoles ? "evenodd" : "nonzero");
      }
      if (!stroke) return;
      Object.assign(pencil, { strokeStyle: stroke.color, globalAlpha: stroke.alpha, lineWidth: stroke.width * scale });
      pencil.stroke();
    },
    gradient({ x, y, width: wide, height: high, colours, isUpright }) {
      const fill = pencil.createLinearGradient(x * scale, (isUpright ? y + high : y) * scale, (isUpright ? x : x + wide) * scale, y * scale);
      colours.forEach((colour, n) => fill.addColorStop(colours.length > 1 ? n / (colours.length - 1) : 0, colour));
      pencil.fillStyle = fill;
      pencil.fillRect(x * scale, y * scale, wide * scale, high * scale);
    },
    image({ canvas, matrix }) {
      pencil.imageSmoothingEnabled = false;
      pencil.setTransform(...matrix.map((value) => value * scale));
      pencil.drawImage(canvas, 0, 0);
    },
    text({ text, matrix, color, alpha, halo, ...font }) {
      Object.assign(pencil, { font: fontOf(font), fillStyle: color, globalAlpha: alpha, lineJoin: "round" });
      pencil.setTransform(...matrix.map((value) => value * scale));
      if (halo) {
        Object.assign(pencil, { strokeStyle: halo.color, lineWidth: halo.width });
        pencil.strokeText(text, 0, 0);
      }
      pencil.fillText(text, 0, 0);
    },
  };
  pencil.fillStyle = behind;
  pencil.fillRect(0, 0, width * scale, height * scale);
  for (const { clip, marks: group } of grouped(marks)) {
    pencil.save();
    const [left, top, right, bottom] = clip.rect.map((edge) => Math.round(edge * scale) / scale); // at whole pixels
    for (const rings of [[box(left, top, right - left, bottom - top)], ...clip.regions]) {
      path(rings);
      pencil.clip();
    }
    for (const mark of group) {
      pencil.save();
      hands[mark.kind](mark);
      pencil.restore();
    }
    pencil.restore();
  }
}

/** A PNG with `scale` times the pixels of the page. */
export function toPng(drawn, scale) {
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(drawn.width * scale), height: Math.round(drawn.height * scale) });
  draw(canvas.getContext("2d"), drawn, scale);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const short = (value) => String(Math.round(value * 1000) / 1000);
const pathOf = (rings, isOpen) => rings.map((ring) => `M${ring.map(([x, y]) => `${short(x)} ${short(y)}`).join("L")}${isOpen ? "" : "Z"}`).join("");

/** An SVG, in pixels of the page. */
export function toSvg({ width, height, ground: behind, title, marks }) {
  const made = (tag, attributes, ...contents) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, typeof value === "number" ? short(value) : value);
    node.append(...contents);
    return node;
  };
  const matrixOf = (matrix) => `matrix(${matrix.map((value) => String(Number(value.toPrecision(9)))).join(" ")})`;
  const opacity = (name, alpha) => (alpha < 1 ? { [name]: alpha } : {});
  let number = 0;
  const named = (tag, attributes, ...contents) => {
    const id = `part-${(number += 1)}`;
    return { id, node: made(tag, { id, ...attributes }, ...contents) };
  };
  const hands = {
    shape({ rings, isOpen, hasHoles, fill, stroke }) {
      const attributes = { d: pathOf(rings, isOpen), fill: fill?.color ?? "none", ...opacity("fill-opacity", fill?.alpha ?? 1) };
      if (stroke) Object.assign(attributes, { stroke: stroke.color, "stroke-width": stroke.width, ...opacity("stroke-opacity", stroke.alpha) });
      if (hasHoles) attributes["fill-rule"] = "evenodd";
      return [made("path", attributes)];
    },
    gradient({ x, y, width: wide, height: high, colours, isUpright }) {
      const stops = colours.map((colour, n) => made("stop", { offset: colours.length > 1 ? n / (colours.length - 1) : 0, "stop-color": colour }));
      const { id, node } = named("linearGradient", { x1: 0, y1: isUpright ? 1 : 0, x2: isUpright ? 0 : 1, y2: 0 }, ...stops);
      return [node, made("rect", { x, y, width: wide, height: high, fill: `url(#${id})`, "shape-rendering": "crispEdges" })];
    },
    image({ canvas, matrix }) {
      const image = made("image", { width: canvas.width, height: canvas.height, transform: matrixOf(matrix), preserveAspectRatio: "none", "image-rendering": "pixelated" });
      image.setAttributeNS(XLINK, "xlink:href", canvas.toDataURL());
      return [image];
    },
    text({ text, matrix, width: wide, size, family, weight, color, alpha, halo }) {
      const attributes = { transform: matrixOf(matrix), "font-size": size, "font-family": family, "font-weight": weight, fill: color, ...opacity("fill-opacity", alpha) };
      // where its letters are not those of this machine, it takes as much room
      Object.assign(attributes, { textLength: wide, lengthAdjust: "spacingAndGlyphs" });
      if (halo) Object.assign(attributes, { stroke: halo.color, "stroke-width": halo.width, "stroke-linejoin": "round", "paint-order": "stroke" });
      return [made("text", attributes, text)];
    },
  };
  const root = made("svg", { width, height, viewBox: `0 0 ${short(width)} ${short(height)}`, version: "1.1" });
  root.append(made("title", {}, title), made("rect", { width, height, fill: behind }));
  for (const { clip, marks: group } of grouped(marks)) {
    const [left, top, right, bottom] = clip.rect;
    const areas = [[box(left, top, right - left, bottom - top)], ...clip.regions].map((rings) => named("clipPath", {}, made("path", { d: pathOf(rings) })));
    const outer = areas.map(({ id, node }) => {
      root.append(node);
      return made("g", { "clip-path": `url(#${id})` });
    });
    outer.reduce((around, inside) => (around.append(inside), inside)).append(...group.flatMap((mark) => hands[mark.kind](mark)));
    root.append(outer[0]);
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(root)}\n`;
}
