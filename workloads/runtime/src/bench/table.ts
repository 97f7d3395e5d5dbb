// Rows of a benchmark: ours beside its peers, measured in one run, as a table for people and JSON for programs.
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

export interface Row {
  bench: string;
  case: string;
  /** The size of the problem, in the words of its field: `T=512 N=1e6`, `1 000 resources`. */
  size: string;
  metric: string;
  unit: string;
  better: 'higher' | 'lower';
  ours: number;
  peers: Record<string, number>;
  /** Ours against the best peer, so that above 1 is better whatever the metric; absent without a peer. */
  ratio?: number;
  /** What was promised, in words: `≥ 100×`, `≤ 150 MiB`. */
  target?: string;
  met?: boolean;
  machine: string;
}

export interface Target {
  /** On `ours` itself, in `unit`. */
  absolute?: number;
  /** On the ratio. */
  ratio?: number;
}

export type Measured = Omit<Row, 'ratio' | 'target' | 'met' | 'machine'>;

/** A row with its ratio and whether its target was met. */
export function row(measured: Measured, target: Target = {}): Row {
  const { ours, better } = measured;
  const peers = Object.values(measured.peers);
  const best = peers.length === 0 ? undefined : better === 'higher' ? Math.max(...peers) : Math.min(...peers);
  const ratio = best === undefined ? undefined : better === 'higher' ? ours / best : best / ours;
  const sign = better === 'higher' ? '≥' : '≤';
  const wants: string[] = [];
  const holds: boolean[] = [];
  if (target.absolute !== undefined) {
    wants.push(`${sign} ${figure(target.absolute)} ${measured.unit}`);
    holds.push(better === 'higher' ? ours >= target.absolute : ours <= target.absolute);
  }
  if (target.ratio !== undefined && ratio !== undefined) {
    wants.push(`≥ ${figure(target.ratio)}×`);
    holds.push(ratio >= target.ratio);
  }
  return {
    ...measured,
    ...(ratio !== undefined && { ratio }),
    ...(wants.length > 0 && { target: wants.join(', '), met: holds.every(Boolean) }),
    machine: machine(),
  };
}

/** The table as Markdown, so that what stands in the docs is what was printed. */
export function markdown(rows: readonly Row[]): string {
  const head = ['case', 'size', 'metric', 'ours', 'peers', 'ratio', 'target', 'met'];
  const body = rows.map((each) => [
    each.case,
    each.size,
    `${each.metric} (${each.unit})`,
    figure(each.ours),
    Object.entries(each.peers)
      .map(([name, value]) => `${name} ${figure(value)}`)
      .join(', '),
    each.ratio === undefined ? '' : `${figure(each.ratio)}×`,
    each.target ?? '',
    each.met === undefined ? '' : each.met ? 'yes' : 'no',
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...body.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)].join('\n');
}

/** Prints the table, and writes the rows to `jsonFile` where one is named. */
export function report(rows: readonly Row[], jsonFile?: string): void {
  console.log(`\n${machine()}, ${new Date().toISOString().slice(0, 10)}\n\n${markdown(rows)}\n`);
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(rows, null, 2)}\n`);
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no median');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Three significant digits, without exponents where people read them badly. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  if (size >= 0.001 || size === 0) return String(Number(value.toPrecision(3)));
  return value.toExponential(2);
}

function machine(): string {
  const model = cpus()[0]?.model.trim() || process.arch;
  return `${availableParallelism()} cores of ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
