// A small chart as SVG: a line, dots, and axes with a few round numbers.

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly line: readonly (readonly [number, number])[];
  readonly dots: readonly (readonly [number, number])[];
}

const [width, height, left, bottom] = [480, 280, 62, 40];

export function chart({ x, y, line, dots }: Chart): string {
  const points = [...line, ...dots].filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  if (points.length === 0)
    return '<svg viewBox="0 0 480 40"><text x="8" y="24" fill="currentColor">nothing to show</text></svg>';
  const across = rangeOf(points.map(([a]) => a));
  const up = rangeOf(points.map(([, b]) => b));
  const px = (value: number) => left + ((value - across.low) / (across.high - across.low)) * (width - left - 12);
  const py = (value: number) => height - bottom - ((value - up.low) / (up.high - up.low)) * (height - bottom - 12);
  const ticksX = ticks(across).map(
    (value) => `<text x="${px(value)}" y="${height - bottom + 16}" text-anchor="middle">${round(value)}</text>`,
  );
  const ticksY = ticks(up).map(
    (value) =>
      `<text x="${left - 6}" y="${py(value) + 4}" text-anchor="end">${round(value)}</text><line x1="${left}" x2="${width - 12}" y1="${py(value)}" y2="${py(value)}" opacity=".15"/>`,
  );
  const path = line.map(([a, b], i) => `${i === 0 ? 'M' : 'L'}${px(a).toFixed(1)} ${py(b).toFixed(1)}`).join('');
  const marks = dots.map(
    ([a, b]) => `<circle cx="${px(a).toFixed(1)}" cy="${py(b).toFixed(1)}" r="3" fill="#38c" opacity=".7"/>`,
  );
  return `<svg viewBox="0 0 ${width} ${height}" role="img" font-size="11" fill="currentColor" stroke="none"><g stroke="currentColor">${ticksY.join('').replaceAll('<text', '<text stroke="none"')}</g>${ticksX.join('')}
<path d="${path}" fill="none" stroke="#38c" stroke-width="2"/>${marks.join('')}
<text x="${width / 2}" y="${height - 4}" text-anchor="middle">${x}</text><text transform="translate(12 ${height / 2}) rotate(-90)" text-anchor="middle">${y}</text></svg>`;
}

function rangeOf(values: readonly number[]): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low === high ? { low: low - 0.5, high: high + 0.5 } : { low, high };
}

function ticks({ low, high }: { low: number; high: number }): number[] {
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw)!;
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, i) => first + i * step);
}

function round(value: number): string {
  return String(Number(value.toPrecision(4)));
}
