// The copy engine beside node-llama-cpp called directly: tokens a second, first tokens, prefixes used again, and answers from the cache.
//   node --conditions=source workloads/copy/bench/main.ts [--quick] [--threads N] [--model small|gpt2] [--only PART,…] [--json FILE]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuThreads } from '@quintet/runtime';
import { type Row, report } from '@quintet/runtime/bench';
import { randomModel, type Shape } from '../src/testing/gguf.ts';
import { writtenAhead } from './ahead.ts';
import { answersFromCache } from './cache.ts';
import { serve } from './engine.ts';
import { firstTokens, orderOfWork, placesOfThoseWhoLeave } from './latency.ts';
import { tokensPerSecond } from './throughput.ts';

const options = {
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  /** On busy cores fewer than there are, for both sides: threads that wait for each other are slow there. */
  threads: { type: 'string' },
  model: { type: 'string' },
  /** Parts, by the names of their functions. */
  only: { type: 'string' },
  serve: { type: 'string' },
} as const;
const { values } = parseArgs({ options });
const threads = Number(values.threads ?? cpuThreads());

/** GPT-2 of 124 million parameters, and one so small that what is around the model shows. */
const models: { name: string; title: string; shape: Shape; type: 'F32' | 'Q8_0' }[] = [
  {
    name: 'small',
    title: 'GPT-2 of 2 layers × 256',
    shape: { layers: 2, width: 256, heads: 4, context: 2048 },
    type: 'F32',
  },
  {
    name: 'gpt2',
    title: 'GPT-2 124 M Q8_0',
    shape: { layers: 12, width: 768, heads: 12, context: 1024, vocabulary: 50257 },
    type: 'Q8_0',
  },
];

if (values.serve) await serve(values.serve, threads);
else {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  mkdirSync(join(folder, 'models'));
  try {
    const rows: Row[] = [];
    for (const { name, title, shape, type } of models.filter((one) => [one.name, undefined].includes(values.model))) {
      const model = { path: join(folder, 'models', `${name}.gguf`), name, title, folder, threads };
      randomModel(model.path, shape, type);
      const all = {
        tokensPerSecond,
        firstTokens,
        orderOfWork,
        placesOfThoseWhoLeave,
        ...(name === 'small' && { answersFromCache, writtenAhead }),
      };
      for (const [part, measure] of Object.entries(all)) {
        if (values.only !== undefined && !values.only.split(',').includes(part)) continue;
        const measured = await measure(model, values.quick);
        // It takes minutes: what is known is said at once.
        for (const { size, metric, ours, unit } of measured)
          console.error(`${title}, ${size}: ${metric} ${ours} ${unit}`);
        rows.push(...measured);
      }
    }
    report(rows, values.json);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit(0);
}
