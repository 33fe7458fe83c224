// What stands around HiGlass's maps on the page, and the letters over them, as marks (scene.js): as the browser has laid them out.

import { element } from "./dom.js";
import { apply, box, common, within } from "./scene.js";

/** What is no part of a picture: HiGlass draws its own marks, and these follow the mouse. */
const OUTSIDE = "#higlass, #readout, #band, [data-screen-only]";
const STEPS = 48; // points along a curve

const dot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const pencil = document.createElement("canvas").getContext("2d");

/** A colour of CSS, in whatever way it is written: {color: "#rrggbb", alpha}. */
export function colourOf(text) {
  dot.clearRect(0, 0, 1, 1);
  dot.fillStyle = "#000000";
  dot.fillStyle = text;
  dot.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = dot.getImageData(0, 0, 1, 1).data;
  return { color: `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`, alpha: alpha / 255 };
}

class Page {
  constructor(corner) {
    this.corner = corner;
    this.everything = { rect: [0, 0, corner.width, corner.height], regions: [] };
  }

  placed({ left, top, width, height }) {
    return { x: left - this.corner.left, y: top - this.corner.top, width, height };
  }

  /** What is seen of an element's contents. */
  clipOf(node) {
    let clip = this.everything;
    for (let at = node; at && at !== element("grid").parentNode; at = at.parentNode) {
      if (window.getComputedStyle(at).overflowX === "visible") continue;
      const { x, y, width, height } = this.placed(at.getBoundingClientRect());
      clip = within(clip, [x, y, x + width, y + height]);
    }
    return clip;
  }

  rectangle(clip, x, y, width, height, colour) {
    const fill = colourOf(colour);
    if (!(fill.alpha > 0 && width > 0 && height > 0)) return [];
    return [{ kind: "shape", clip, rings: [box(x, y, width, height)], isOpen: false, fill, stroke: null }];
  }

  /** Ground and borders of an element, and what its style sheet draws before it. */
  boxes(node) {
    const style = window.getComputedStyle(node);
    const { x, y, width, height } = this.placed(node.getBoundingClientRect());
    const clip = this.clipOf(node.parentNode);
    const [top, right, bottom, left] = ["Top", "Right", "Bottom", "Left"].map((side) => Number.parseFloat(style[`border${side}Width`]) || 0);
    const marks = [...this.rectangle(clip, x, y, width, height, style.backgroundColor)];
    const colours = node.style.getPropertyValue("--colours");
    if (colours && style.backgroundImage !== "none") {
      const inside = { x: x + left, y: y + top, width: width - left - right, height: height - top - bottom };
      marks.push({ kind: "gradient", clip, ...inside, colours: colours.split(/,\s*(?![^(]*\))/).map((text) => colourOf(text).color), isUpright: inside.height > inside.width });
    }
    marks.push(
      ...this.rectangle(clip, x, y, width, top, style.borderTopColor),
      ...this.rectangle(clip, x, y + height - bottom, width, bottom, style.borderBottomColor),
      ...this.rectangle(clip, x, y, left, height, style.borderLeftColor),
      ...this.rectangle(clip, x + width - right, y, right, height, style.borderRightColor),
    );
    return [...marks, ...this.before(node, clip, { x, y, width, height })];
  }

  /** The ticks of a scale, and the square of what has no data. */
  before(node, clip, { x, y, height }) {
    const style = window.getComputedStyle(node, "::before");
    if (style.content === "none" || style.display === "none") return [];
    const size = (name) => Number.parseFloat(style[name]) || 0;
    if (style.position === "absolute") {
      if (size("borderTopWidth")) return this.rectangle(clip, x + size("left"), y + height / 2 - size("borderTopWidth") / 2, size("width"), size("borderTopWidth"), style.borderTopColor);
      return [];
    }
    const [wide, high, border] = [size("width") + 2 * size("borderLeftWidth"), size("height") + 2 * size("borderTopWidth"), size("borderLeftWidth")];
    const top = y + (height - high) / 2;
    return [
      ...this.rectangle(clip, x, top, wide, high, border ? style.borderLeftColor : style.backgroundColor),
      ...this.rectangle(clip, x + border, top + border, wide - 2 * border, high - 2 * border, style.backgroundColor),
    ];
  }

  /** The lines of a text, as the browser has broken them; one that does not fit ends in an ellipsis where its element says so. */
  texts(node) {
    const style = window.getComputedStyle(node.parentNode);
    const size = Number.parseFloat(style.fontSize);
    const clip = this.clipOf(node.parentNode);
    if (style.writingMode !== "horizontal-tb") return this.upwards(node, style, clip);
    const lines = [];
    const range = document.createRange();
    [...node.textContent].reduce((start, letter) => {
      range.setStart(node, start);
      range.setEnd(node, start + letter.length);
      const place = range.getClientRects()[0];
      if (place?.width) {
        const { x, y, width, height } = this.placed(place);
        const last = lines.at(-1);
        if (last && Math.abs(last.y - y) < 2) Object.assign(last, { text: last.text + letter, width: x + width - last.x });
        else lines.push({ text: letter, x, y, width, height });
      }
      return start + letter.length;
    }, 0);
    pencil.font = `${style.fontWeight} ${size}px ${style.fontFamily}`;
    const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = pencil.measureText("x");
    return lines.flatMap((line) => {
      let text = line.text.trimEnd();
      let { width } = line;
      if (style.textOverflow === "ellipsis" && line.x + width > clip.rect[2] + 1) {
        while (text && pencil.measureText(`${text}…`).width > clip.rect[2] - line.x) text = text.slice(0, -1);
        if (!text) return [];
        text += "…";
      }
      width = pencil.measureText(text).width;
      if (!text.trim()) return [];
      const baseline = line.y + (line.height - ascent - descent) / 2 + ascent;
      const { color, alpha } = colourOf(style.color);
      const halo = style.textShadow === "none" ? null : { color: "#ffffff", width: 2 };
      return [{ kind: "text", clip, text, matrix: [1, 0, 0, 1, line.x, baseline], width, size, family: style.fontFamily, weight: style.fontWeight, color, alpha, halo }];
    });
  }

  /** A text that is read from below: the name of a row of maps. */
  upwards(node, style, clip) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const { x, y, width, height } = this.placed(range.getBoundingClientRect());
    const size = Number.parseFloat(style.fontSize);
    pencil.font = `${style.fontWeight} ${size}px ${style.fontFamily}`;
    const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent, width: long } = pencil.measureText(node.textContent);
    const baseline = x + (width - ascent - descent) / 2 + ascent;
    return [{ kind: "text", clip, text: node.textContent, matrix: [0, -1, 1, 0, baseline, y + (height + long) / 2], width: long, size, family: style.fontFamily, weight: style.fontWeight, ...colourOf(style.color), halo: null }];
  }

  /** The marks of an SVG that lies over the maps. */
  overlay(svg, seen) {
    return [...svg.querySelectorAll("rect, line, path, circle, polygon, polyline, text")].flatMap((node) => {
      const style = window.getComputedStyle(node);
      const { a, b, c, d, e, f } = node.getScreenCTM();
      const matrix = [a, b, c, d, e - this.corner.left, f - this.corner.top];
      const { x, y, width, height } = this.placed(node.ownerSVGElement.getBoundingClientRect());
      const clip = { rect: common(seen, [x, y, x + width, y + height]), regions: [] };
      const paint = (name) => (style[name] === "none" ? null : colourOf(style[name]));
      const fill = paint("fill");
      if (node.tagName === "text") {
        const size = Number.parseFloat(style.fontSize);
        const [left, top] = ["x", "y"].map((name) => Number(node.getAttribute(name) ?? 0));
        const start = [...matrix.slice(0, 4), ...apply(matrix, [left, top])];
        return [{ kind: "text", clip, text: node.textContent, matrix: start, width: node.getComputedTextLength(), size, family: style.fontFamily, weight: style.fontWeight, ...fill, halo: null }];
      }
      const number = (name) => Number(node.getAttribute(name) ?? 0);
      const length = node.getTotalLength();
      const along = () => Array.from({ length: STEPS }, (_, n) => node.getPointAtLength((length * n) / (STEPS - 1))).map((point) => [point.x, point.y]);
      const shapes = {
        rect: () => box(number("x"), number("y"), node.width.baseVal.value, node.height.baseVal.value),
        line: () => [[node.x1.baseVal.value, node.y1.baseVal.value], [node.x2.baseVal.value, node.y2.baseVal.value]],
      };
      const ring = (shapes[node.tagName] ?? along)().map((point) => apply(matrix, point));
      const stroke = paint("stroke");
      const isOpen = ["line", "path", "polyline"].includes(node.tagName);
      if (stroke) stroke.width = Number.parseFloat(style.strokeWidth) * Math.sqrt(Math.abs(a * d - b * c));
      return [{ kind: "shape", clip, rings: [ring], isOpen, fill: node.tagName === "line" ? null : fill, stroke }];
    });
  }
}

const isSeen = (node) => !node.closest(OUTSIDE) && node.checkVisibility({ visibilityProperty: true });

/** What lies behind the maps, what over them, and what stands around them, of the grid whose corner is at `corner` of the window. `seen` is the part of the maps. */
export function surroundings(corner, seen) {
  const page = new Page(corner);
  const around = [...element("grid").querySelectorAll("*")].filter(isSeen);
  const walker = document.createTreeWalker(element("grid"), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (isSeen(walker.currentNode.parentNode)) texts.push(walker.currentNode);
  const letters = document.getElementById("letters");
  return {
    behind: around.flatMap((node) => page.boxes(node)),
    over: letters?.childElementCount ? page.overlay(letters, seen) : [],
    around: texts.flatMap((node) => page.texts(node)),
  };
}
