// What HiGlass has drawn, as a list of marks: shapes, images and texts in pixels of the page.
//
// HiGlass's own pictures (exportAsSvg) leave out or change some of what is on the screen: colours of bars, outlines of letters, chromosomes' names; and they
// set inline styles, which the page's Content-Security-Policy refuses. So pictures are made of the scene itself, the objects that the screen is drawn of.
//
//   {kind: "shape", clip, rings: [[[x, y], ...], ...], isOpen, hasHoles, fill: {color, alpha} | null, stroke: {color, alpha, width} | null}
//   {kind: "image", clip, canvas, matrix}                       matrix: [a, b, c, d, e, f] from the image's pixels to those of the page
//   {kind: "text", clip, text, matrix, width, size, family, weight, color, alpha, halo: {color, width} | null}      from its baseline's left end
//   {kind: "gradient", clip, x, y, width, height, colours, isUpright}
//   clip: {rect: [left, top, right, bottom], regions: [rings, ...]}; what is drawn lies in all of them

import { SHAPES, TextMetrics } from "pixi.js";

const ROUND = 32; // corners of a circle
const TOUCH = 0.02; // px between bars that touch
const OVERLAP = 0.5; // px
const EXACT = 1e-6; // of a matrix: what is less is nothing

export const apply = ([a, b, c, d, e, f], [x, y]) => [a * x + c * y + e, b * x + d * y + f];
const product = ([a, b, c, d, e, f], [p, q, r, s, t, u]) => [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f];
const matrixOf = ({ a, b, c, d, tx, ty }) => [a, b, c, d, tx, ty];
const hex = (number) => `#${number.toString(16).padStart(6, "0")}`;
export const box = (x, y, width, height) => [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];

/** The extremes [left, top, right, bottom] of points. */
export function bounds(points) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Whether a ring is a rectangle along the axes. */
export function isRectangle(ring) {
  if (ring.length !== 4) return false;
  const [left, top, right, bottom] = bounds(ring);
  return ring.every(([x, y]) => (Math.abs(x - left) < EXACT || Math.abs(x - right) < EXACT) && (Math.abs(y - top) < EXACT || Math.abs(y - bottom) < EXACT));
}

export const common = (one, other) => [Math.max(one[0], other[0]), Math.max(one[1], other[1]), Math.min(one[2], other[2]), Math.min(one[3], other[3])];
const isEmpty = ([left, top, right, bottom]) => !(left < right && top < bottom);

/** A clip that is narrowed to a rectangle. */
export const within = (clip, rect) => ({ ...clip, rect: common(clip.rect, rect) });

/** The points of one of Pixi's shapes. */
function corners({ type, x, y, width, height, radius, points }) {
  if (type === SHAPES.POLY) return Array.from({ length: points.length / 2 }, (_, k) => [points[2 * k], points[2 * k + 1]]);
  if (type === SHAPES.RECT || type === SHAPES.RREC) return box(x, y, width, height);
  const across = type === SHAPES.CIRC ? radius : width;
  const down = type === SHAPES.CIRC ? radius : height;
  return Array.from({ length: ROUND }, (_, k) => [x + across * Math.cos((2 * Math.PI * k) / ROUND), y + down * Math.sin((2 * Math.PI * k) / ROUND)]);
}

class Walk {
  /** `origin`: where the canvas lies on the picture; `clip`: what of it is seen. */
  constructor(origin, clip) {
    this.origin = [1, 0, 0, 1, ...origin];
    this.clip = clip;
    this.marks = [];
  }

  world(object) {
    return product(this.origin, matrixOf(object.worldTransform));
  }

  visit(object, clip) {
    if (!object.visible || !object.renderable || object.worldAlpha <= 0) return;
    if (object.mask) clip = this.masked(object.mask, clip);
    if (isEmpty(clip.rect)) return;
    if (object.geometry?.graphicsData) this.graphics(object, clip);
    else if (object.style && typeof object.text === "string") this.text(object, clip);
    else if (object.texture && object.anchor) this.sprite(object, clip);
    for (const child of object.children) this.visit(child, clip);
  }

  masked(mask, clip) {
    const rings = this.rings(mask);
    if (rings.length === 1 && isRectangle(rings[0])) return within(clip, bounds(rings[0]));
    if (!rings.length) return { ...clip, rect: [0, 0, 0, 0] };
    return { rect: common(clip.rect, bounds(rings.flat())), regions: [...clip.regions, rings] };
  }

  rings(graphics) {
    const world = this.world(graphics);
    return (graphics.geometry?.graphicsData ?? []).map(({ shape, matrix }) => {
      const whole = matrix ? product(world, matrixOf(matrix)) : world;
      return corners(shape).map((point) => apply(whole, point));
    });
  }

  graphics(object, clip) {
    const { worldAlpha } = object;
    const [a, b, c, d] = this.world(object);
    const size = Math.sqrt(Math.abs(a * d - b * c));
    this.rings(object).forEach((ring, k) => {
      const { shape, fillStyle, lineStyle, holes = [] } = object.geometry.graphicsData[k];
      const fill = fillStyle.visible ? { color: hex(fillStyle.color), alpha: fillStyle.alpha * worldAlpha } : null;
      const stroke = lineStyle.visible && lineStyle.width > 0 ? { color: hex(lineStyle.color), alpha: lineStyle.alpha * worldAlpha, width: lineStyle.width * size } : null;
      const extent = bounds(ring);
      const margin = stroke?.width ?? 0;
      if (!(fill || stroke) || isEmpty(common(clip.rect, [extent[0] - margin, extent[1] - margin, extent[2] + margin, extent[3] + margin]))) return;
      const cut = holes.map((hole) => corners(hole.shape).map((point) => apply(this.world(object), point)));
      this.marks.push({ kind: "shape", clip, rings: [ring, ...cut], hasHoles: cut.length > 0, isOpen: shape.type === SHAPES.POLY && !shape.closeStroke, fill, stroke });
    });
  }

  text(object, clip) {
    const { style, text, anchor, worldAlpha } = object;
    if (!text.trim()) return;
    const measured = TextMetrics.measureText(text, style, style.wordWrap);
    const { padding, strokeThickness, align, fill } = style;
    const left = padding + strokeThickness / 2 - anchor.x * (measured.width + 2 * padding);
    const top = padding + strokeThickness / 2 - anchor.y * (measured.height + 2 * padding);
    measured.lines.forEach((line, n) => {
      if (!line.trim()) return;
      const free = measured.maxLineWidth - measured.lineWidths[n];
      const x = left + { right: free, center: free / 2 }[align] || left;
      const y = top + n * measured.lineHeight + measured.fontProperties.ascent;
      this.marks.push({
        kind: "text",
        clip,
        text: line,
        matrix: product(this.world(object), [1, 0, 0, 1, x, y]),
        width: measured.lineWidths[n] - strokeThickness,
        size: Number.parseFloat(style.fontSize),
        family: String(style.fontFamily),
        weight: style.fontWeight,
        color: [fill].flat()[0],
        alpha: worldAlpha,
        halo: style.stroke && strokeThickness ? { color: style.stroke, width: strokeThickness } : null,
      });
    });
  }

  sprite({ texture, anchor, worldTransform, worldAlpha }, clip) {
    const source = texture.baseTexture.resource?.source;
    if (!source) return;
    const { x, y, width, height } = texture.frame;
    const matrix = product(product(this.origin, matrixOf(worldTransform)), [1, 0, 0, 1, -anchor.x * width, -anchor.y * height]);
    const extent = bounds(box(0, 0, width, height).map((point) => apply(matrix, point)));
    if (isEmpty(common(clip.rect, extent))) return;
    this.marks.push({ kind: "image", clip, canvas: source, frame: [x, y, width, height], matrix, alpha: worldAlpha });
  }
}

const isAlong = ([a, b, c, d]) => (Math.abs(b) < EXACT && Math.abs(c) < EXACT) || (Math.abs(a) < EXACT && Math.abs(d) < EXACT);
const isWhole = (number) => Math.abs(number - Math.round(number)) < 0.02;

/** Images of one grid as one image of the part that is seen, so that no line is seen where they meet. */
function joined(images) {
  const [{ clip, matrix }] = images;
  const across = Math.abs(matrix[0]) + Math.abs(matrix[2]); // pixels of the page that a pixel of the image has
  const down = Math.abs(matrix[1]) + Math.abs(matrix[3]);
  const extents = images.map(({ frame, matrix: of }) => bounds(box(0, 0, frame[2], frame[3]).map((point) => apply(of, point))));
  const all = extents.reduce((one, other) => [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[2], other[2]), Math.max(one[3], other[3])]);
  const [left, top] = all;
  const first = [Math.max(0, Math.floor((clip.rect[0] - left) / across)), Math.max(0, Math.floor((clip.rect[1] - top) / down))];
  const end = [Math.ceil((Math.min(all[2], clip.rect[2]) - left) / across - EXACT), Math.ceil((Math.min(all[3], clip.rect[3]) - top) / down - EXACT)];
  const canvas = Object.assign(document.createElement("canvas"), { width: end[0] - first[0], height: end[1] - first[1] });
  const pencil = canvas.getContext("2d");
  pencil.imageSmoothingEnabled = false;
  const start = [left + first[0] * across, top + first[1] * down];
  for (const { canvas: source, frame, matrix: of, alpha } of images) {
    const [a, b, c, d, e, f] = of;
    pencil.globalAlpha = alpha;
    const to = [a / across, b / down, c / across, d / down];
    pencil.setTransform(...to.map(Math.round), Math.round((e - start[0]) / across), Math.round((f - start[1]) / down));
    pencil.drawImage(source, ...frame, 0, 0, frame[2], frame[3]);
  }
  return { kind: "image", clip, canvas, matrix: [across, 0, 0, down, ...start] };
}

/** Whether an image lies in the grid of another one. */
function fits(one, other) {
  if (one.clip !== other.clip) return false;
  const [p, q] = [one, other].map(({ matrix: [a, b, c, d] }) => [Math.abs(a) + Math.abs(c), Math.abs(b) + Math.abs(d)]);
  if (Math.abs(p[0] - q[0]) > 1e-4 * p[0] || Math.abs(p[1] - q[1]) > 1e-4 * p[1]) return false;
  return isWhole((one.matrix[4] - other.matrix[4]) / p[0]) && isWhole((one.matrix[5] - other.matrix[5]) / p[1]);
}

/** An image that lies in no grid with others, or not along the axes, by itself. */
function alone({ clip, canvas: source, frame, matrix, alpha }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: frame[2], height: frame[3] });
  const pencil = canvas.getContext("2d");
  pencil.globalAlpha = alpha;
  pencil.drawImage(source, ...frame, 0, 0, frame[2], frame[3]);
  return { kind: "image", clip, canvas, matrix };
}

const isPlain = ({ fill, stroke, hasHoles, rings }) => fill?.alpha === 1 && !stroke && !hasHoles && rings.every(isRectangle);

/** Bars that touch, without the hairlines that viewers leave between shapes: those of one colour are one shape, and one of another colour ends below the
 *  next one, which is drawn over it. */
function withJoinedBars(marks) {
  const found = [];
  for (const mark of marks) {
    const last = found.at(-1);
    const isNext = mark.kind === "shape" && last?.kind === "shape" && mark.clip === last.clip && isPlain(mark) && isPlain(last);
    if (isNext && mark.fill.color === last.fill.color) {
      last.rings.push(...mark.rings);
      continue;
    }
    found.push(mark);
    if (!isNext) continue;
    const [, , right] = bounds(last.rings.at(-1));
    const [left] = bounds(mark.rings[0]);
    if (Math.abs(right - left) < TOUCH) last.rings.push(box(...extended(last.rings.pop())));
  }
  return found;
}

function extended(ring) {
  const [left, top, right, bottom] = bounds(ring);
  return [left, top, right - left + OVERLAP, bottom - top];
}

function withJoinedImages(marks) {
  const found = [];
  let images = [];
  const flush = () => {
    if (images.length) found.push(isAlong(images[0].matrix) ? joined(images) : alone(images[0]));
    images = [];
  };
  for (const mark of marks) {
    if (mark.kind !== "image") {
      flush();
      found.push(mark);
      continue;
    }
    if (images.length && !(isAlong(mark.matrix) && isAlong(images[0].matrix) && fits(images[0], mark))) flush();
    images.push(mark);
  }
  flush();
  return found;
}

/** All that HiGlass has drawn, as marks; its canvas lies at `origin` of the picture, of which `rect` is seen. */
export function sceneMarks(component, origin, rect) {
  const { pixiRenderer, pixiRoot } = component;
  pixiRenderer.render(pixiRoot); // so that all objects know where they are, and the screen is the same
  const walk = new Walk(origin);
  walk.visit(pixiRoot, { rect, regions: [] });
  return withJoinedBars(withJoinedImages(walk.marks));
}
