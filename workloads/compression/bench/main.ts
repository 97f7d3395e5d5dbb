// Compression beside its peers: answers kept with a query and without, outliers, rate, and time.
//   node --conditions=source workloads/compression/bench/main.ts [--quick] [--only quality,speed,service] [--json FILE]
import { parseArgs } from 'node:util';
import { type Measured, type Row, report, row } from '@quintet/runtime/bench';
import { corpus } from './corpus.ts';
import { miniLm } from './minilm.ts';
import { peerPython } from './python.ts';
import { type MeanName, type Quality, quality, ratios } from './quality.ts';
import { service } from './service.ts';
import { speed } from './speed.ts';

const parts = ['quality', 'speed', 'service'];
const options = {
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  only: { type: 'string' },
} as const;
const { values: given } = parseArgs({ options });
const wanted = given.only?.split(',') ?? parts;
const python = peerPython();
const table: Row[] = [];
if (wanted.includes('quality')) {
  const samples = corpus(5, given.quick ? 3 : 12);
  const embedding = await miniLm(python);
  table.push(...qualityRows(await quality(samples, python, embedding), samples.length));
  await embedding?.close();
}
if (wanted.includes('speed')) table.push(...speed(given.quick, python));
if (wanted.includes('service')) table.push(...(await service(given.quick)));
report(table, given.json);
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
    rows.push(...meanRows(result, column, size(ratio)));
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

/** What is kept on the whole, without a query; each first among the methods is the aim. */
function meanRows({ means }: Quality, column: number, size: string): Row[] {
  const titles: Record<MeanName, [string, string]> = {
    numbers: ['numbers, without a query', 'distinct numbers kept'],
    entities: ['names, without a query', 'distinct names kept'],
    negations: ['negations, without a query', 'negations kept'],
    similarity: ['similarity by MiniLM, without a query', 'mean cosine × 100, every fourth document'],
    'rate error': ['distance from the rate', 'mean error'],
  };
  return Object.entries(means).flatMap(([figure, names]) => {
    const { ours, ...peers } = names;
    if (!ours) return [];
    const [name, metric] = titles[figure as MeanName];
    const better = figure === 'rate error' ? 'lower' : 'higher';
    const values = Object.fromEntries(
      Object.entries(peers).map(([peer, shares]) => [peer, (shares[column] ?? 0) * 100]),
    );
    const unit = figure === 'similarity' ? '' : '%';
    const measured: Measured = {
      bench: 'compression',
      case: name,
      size,
      metric,
      better,
      unit,
      ours: (ours[column] ?? 0) * 100,
      peers: values,
    };
    return [row(measured, figure === 'rate error' ? { absolute: 5 } : { ratio: 1 })];
  });
}
