// What a run found, for a person.
import { join } from 'node:path';
import { type FinishResult, formatBytes, type PlanResult } from '@quintet/field';
import { count } from './progress.ts';

export function summaryTable(
  name: string,
  planned: PlanResult,
  { solution, safety, throughput, output }: FinishResult,
  out: string,
): string {
  const targets = solution.targets.map(({ name: target, pressure }) => [target, pressure]);
  const rows: [string, string][] = [
    ['points', `${count(planned.points)} in ${planned.shards} shard${planned.shards === 1 ? '' : 's'}`],
    [
      'speed',
      throughput.pointsPerSecond > 0
        ? `${count(throughput.pointsPerSecond)} points/s (${throughput.backend}, ${throughput.method})`
        : 'nothing was left to compute',
    ],
    ['residual', solution.residual],
    [
      'safety',
      [safety.verdict, `largest ${safety.maxPressure}`, ...(safety.margin ? [`margin ${safety.margin}`] : [])].join(
        ', ',
      ),
    ],
    ['files', `${join(out, output.summary)}, ${join(out, 'solution.json')}`],
    ['', `${join(out, 'pressure')} (Zarr, ${formatBytes(output.bytes)})`],
    ...output.pictures.map((picture): [string, string] => ['', join(out, picture)]),
  ];
  return [name, ...columns([['TARGET', 'PRESSURE'], ...targets]), '', ...columns(rows)].join('\n');
}

/** Rows as columns of equal width. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   ')}`.trimEnd());
}
