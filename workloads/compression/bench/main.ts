// Compression beside its peers: answers kept with a query and without, outliers, rate, and time.
//   node --conditions=source workloads/compression/bench/main.ts [--quick] [--json FILE]
import { parseArgs } from 'node:util';
import { type Measured, type Row, report, row } from '@quintet/runtime/bench';
import { corpus } from './corpus.ts';
import { peerPython } from './python.ts';
import { type Quality, quality, ratios } from './quality.ts';
import { service } from './service.ts';
import { speed } from './speed.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
const python = peerPython();
const samples = corpus(5, values.quick ? 3 : 12);
const measured = quality(samples, python);
report(
  [...qualityRows(measured, samples.length), ...speed(values.quick, python), ...(await service(values.quick))],
  values.json,
);
process.exit(0);

function qualityRows(result: Quality, documents: number): Row[] {
  const size = (ratio: number): string => `${ratio}×, ${documents} documents, ${result.questions} questions`;
  const percent = (
    name: string,
    metric: string,
    ratio: number,
    ours: number,
    peers: Record<string, number>,
  ): Measured => ({
    bench: 'compression',
    case: name,
    size: size(ratio),
    metric,
    unit: '%',
    better: 'higher',
    ours: ours * 100,
    peers: Object.fromEntries(Object.entries(peers).map(([peer, value]) => [peer, value * 100])),
  });
  return ratios.flatMap((ratio, column) => {
    const at = (group: Record<string, number[]>, skip = 'ours'): Record<string, number> =>
      Object.fromEntries(
        Object.entries(group)
          .filter(([name]) => name !== skip)
          .map(([name, shares]) => [name, shares[column] ?? 0]),
      );
    const asked = at(result.withQuery);
    const blind = at(result.without);
    const rows = [
      row(
        percent('answers, with the question', 'exact answers kept', ratio, result.withQuery.ours?.[column] ?? 0, asked),
        {
          absolute: ratio >= 16 ? (asked.BM25 ?? 0) * 100 + 3 : 0,
          ratio: 1,
        },
      ),
      row(percent('answers, without a query', 'exact answers kept', ratio, result.without.ours?.[column] ?? 0, blind), {
        absolute: (blind.random ?? 0) * 150,
        ratio: 1,
      }),
      row(percent('rate', 'within 5 %', ratio, result.rateMet[column] ?? 0, {}), { absolute: 99 }),
    ];
    if (ratio === 16) {
      const outliers = row(
        percent('outliers of logs and JSON', 'kept', ratio, result.outliers.ours?.[column] ?? 0, at(result.outliers)),
        { absolute: 95 },
      );
      const withQuery = percent(
        'the same, with unrelated questions',
        'kept',
        ratio,
        result.outliersWithQuery[column] ?? 0,
        {},
      );
      rows.push(outliers, row(withQuery, { absolute: 95 }));
    }
    return rows;
  });
}
