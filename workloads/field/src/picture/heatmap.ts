// A plane of the field as a picture: colors, axes in millimetres, a bar of values, a scale, and the targets.
import { Canvas, type Color, textHeight, textWidth } from './canvas.ts';
import type { ColorMap } from './colormap.ts';

export interface Plane {
  /** Values row by row; NaN is drawn grey. Row 0 is at the bottom. */
  readonly values: Float32Array;
  readonly columns: number;
  readonly rows: number;
  /** First and last coordinate along the columns and rows, metres. */
  readonly horizontal: readonly [number, number];
  readonly vertical: readonly [number, number];
}

export interface Heatmap {
  readonly plane: Plane;
  readonly title: string;
  readonly subtitle: string;
  readonly axes: readonly [string, string];
  readonly colors: ColorMap;
  /** Values of the two ends of the colors. */
  readonly range: readonly [number, number];
  readonly format: (value: number) => string;
  readonly marks: readonly { readonly at: readonly [number, number]; readonly label: string }[];
}

const white: Color = [255, 255, 255];
const ink: Color = [38, 38, 44];
const faint: Color = [120, 120, 128];
const missing: Color = [200, 200, 200];
const margin = { left: 74, right: 118, top: 52, bottom: 54 };
/** Longer edge of the plane in the picture, pixels. */
const longest = 620;
const shortest = 60;

export function drawHeatmap(map: Heatmap): Buffer {
  const { plane } = map;
  const [width, height] = sizeOf(plane);
  const canvas = new Canvas(width + margin.left + margin.right, height + margin.top + margin.bottom, white);
  canvas.text(margin.left, 8, map.title, ink);
  canvas.text(margin.left, 8 + textHeight, map.subtitle, faint);
  drawPlane(canvas, map, width, height);
  canvas.frame(margin.left - 1, margin.top - 1, width + 2, height + 2, ink);
  drawAxes(canvas, map, width, height);
  drawBar(canvas, map, width, height);
  drawScale(canvas, plane, width, height);
  for (const mark of map.marks) drawMark(canvas, plane, width, height, mark);
  return canvas.png();
}

function sizeOf({ horizontal, vertical }: Plane): [number, number] {
  const across = horizontal[1] - horizontal[0];
  const up = vertical[1] - vertical[0];
  const most = Math.max(across, up);
  if (most <= 0) return [shortest, shortest];
  const pixels = (length: number): number => Math.max(shortest, Math.round((longest * length) / most));
  return [pixels(across), pixels(up)];
}

/** Bilinear between points, so that a picture of few points does not look like tiles. */
function drawPlane(canvas: Canvas, { plane, colors, range }: Heatmap, width: number, height: number): void {
  const span = range[1] - range[0] || 1;
  for (let py = 0; py < height; py++) {
    const v = plane.rows === 1 ? 0 : ((height - 0.5 - py) / height) * (plane.rows - 1);
    for (let px = 0; px < width; px++) {
      const u = plane.columns === 1 ? 0 : ((px + 0.5) / width) * (plane.columns - 1);
      const value = between(plane, u, v);
      canvas.set(margin.left + px, margin.top + py, Number.isNaN(value) ? missing : colors((value - range[0]) / span));
    }
  }
}

function between({ values, columns, rows }: Plane, u: number, v: number): number {
  const left = Math.min(columns - 1, Math.floor(u));
  const low = Math.min(rows - 1, Math.floor(v));
  const right = Math.min(columns - 1, left + 1);
  const high = Math.min(rows - 1, low + 1);
  const bottom = values[low * columns + left]! * (1 - (u - left)) + values[low * columns + right]! * (u - left);
  const top = values[high * columns + left]! * (1 - (u - left)) + values[high * columns + right]! * (u - left);
  return bottom * (1 - (v - low)) + top * (v - low);
}

function drawAxes(canvas: Canvas, { plane, axes }: Heatmap, width: number, height: number): void {
  const bottom = margin.top + height;
  for (const tick of ticks(plane.horizontal)) {
    const x = margin.left + Math.round(part(plane.horizontal, tick) * (width - 1));
    canvas.fill(x, bottom + 1, 1, 5, ink);
    canvas.text(x, bottom + 8, millimetres(tick), ink, 'center');
  }
  canvas.text(margin.left + width / 2, bottom + 30, `${axes[0]} (mm)`, ink, 'center');
  for (const tick of ticks(plane.vertical)) {
    const y = bottom - 1 - Math.round(part(plane.vertical, tick) * (height - 1));
    canvas.fill(margin.left - 6, y, 5, 1, ink);
    canvas.text(margin.left - 10, y - textHeight / 2, millimetres(tick), ink, 'right');
  }
  canvas.text(8, margin.top - textHeight - 6, `${axes[1]} (mm)`, ink);
}

function drawBar(canvas: Canvas, { colors, range, format }: Heatmap, width: number, height: number): void {
  const x = margin.left + width + 18;
  const thick = 16;
  for (let py = 0; py < height; py++)
    canvas.fill(x, margin.top + py, thick, 1, colors(1 - py / Math.max(1, height - 1)));
  canvas.frame(x - 1, margin.top - 1, thick + 2, height + 2, ink);
  const steps = height < 150 ? 2 : 4;
  for (let i = 0; i <= steps; i++) {
    const y = margin.top + height - 1 - Math.round((i / steps) * (height - 1));
    canvas.fill(x + thick + 1, y, 4, 1, ink);
    canvas.text(x + thick + 8, y - textHeight / 2, format(range[0] + ((range[1] - range[0]) * i) / steps), ink);
  }
}

/** A white bar of a round length, about a fifth of the width. */
function drawScale(canvas: Canvas, { horizontal }: Plane, width: number, height: number): void {
  const across = horizontal[1] - horizontal[0];
  if (across <= 0 || height < 2 * shortest) return;
  const length = niceStep(across / 5);
  const pixels = Math.round((length / across) * width);
  const label = `${millimetres(length)} mm`;
  const wide = Math.max(pixels, textWidth(label)) + 12;
  const x = margin.left + width - wide - 10;
  const y = margin.top + height - 36;
  for (let dy = 0; dy < 28; dy++) for (let dx = 0; dx < wide; dx++) canvas.blend(x + dx, y + dy, [0, 0, 0], 0.45);
  canvas.text(x + wide / 2, y + 2, label, white, 'center');
  canvas.fill(x + Math.round((wide - pixels) / 2), y + 21, pixels, 3, white);
}

function drawMark(canvas: Canvas, plane: Plane, width: number, height: number, mark: Heatmap['marks'][number]): void {
  const u = part(plane.horizontal, mark.at[0]);
  const v = part(plane.vertical, mark.at[1]);
  if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1)) return;
  const x = margin.left + u * (width - 1);
  const y = margin.top + (1 - v) * (height - 1);
  canvas.circle(x, y, 8, 3.4, [0, 0, 0]);
  canvas.circle(x, y, 8, 1.6, white);
  const right = x + 14 + textWidth(mark.label) < margin.left + width;
  for (const [dx, dy] of [
    [-1, 0],
    [1, 0],
    [0, -1],
    [0, 1],
  ] as const) {
    canvas.text(x + (right ? 13 : -13) + dx, y - textHeight / 2 + dy, mark.label, [0, 0, 0], right ? 'left' : 'right');
  }
  canvas.text(x + (right ? 13 : -13), y - textHeight / 2, mark.label, white, right ? 'left' : 'right');
}

function part([low, high]: readonly [number, number], value: number): number {
  return high > low ? (value - low) / (high - low) : 0.5;
}

function ticks([low, high]: readonly [number, number]): number[] {
  if (high <= low) return [low];
  const step = niceStep((high - low) / 6);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** 1, 2 or 5 times a power of ten, the nearest above. */
function niceStep(wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(wanted));
  const digit = [1, 2, 5, 10].find((each) => each * power >= wanted * (1 - 1e-9)) ?? 10;
  return digit * power;
}

function millimetres(metres: number): string {
  return String(Number((metres * 1000).toPrecision(6)) + 0);
}
