// Briefs written ahead: how often the next one was foreseen, and how many more come from a cache that cannot hold them all.
import { type Row, row } from '@quintet/runtime/bench';
import { type BenchModel, post, serving, textOf } from './engine.ts';

const products = 20;
const templates = ['ad', 'email', 'social', 'product-page'];
const entries = 40;
/** Of requests that go on with the campaign they are in; the others begin another. */
const faithful = 0.85;

export async function writtenAhead(model: BenchModel, quick: boolean): Promise<Row[]> {
  const requests = quick ? 400 : 1200;
  const [without, ahead] = [await over(model, requests, 'Disabled'), await over(model, requests, 'Enabled')];
  const base = {
    bench: 'copy',
    case: `${model.title}, briefs written ahead`,
    size: `${requests} briefs of ${products} campaigns × ${templates.length}, ${faithful * 100} % in order, cache of ${entries}`,
    unit: '%',
    better: 'higher',
  } as const;
  return [
    row({ ...base, metric: 'predictions that came true', ours: ahead.precision * 100, peers: {} }),
    row({
      ...base,
      metric: 'answered from the cache',
      ours: ahead.hits * 100,
      peers: { 'not ahead': without.hits * 100 },
    }),
  ];
}

async function over(model: BenchModel, requests: number, prefetch: 'Enabled' | 'Disabled') {
  const engine = await serving(model, 4, 1024, {
    cache: { memory: { maxEntries: entries, maxSize: '64Mi' }, prefetch },
    guardrails: { onViolation: 'Report' },
  });
  try {
    let state = 5;
    const draw = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    let [product, step, hits] = [0, 0, 0];
    for (let i = 0; i < requests; i++) {
      if (draw() < faithful) step++;
      else [product, step] = [Math.floor(draw() * products), 0];
      const template = templates[step % templates.length];
      const body = { brief: { product: `lamp ${product}` }, template, n: 1, seed: 1, maxTokens: 8 };
      const answer = JSON.parse(await textOf(await post(engine, '/v1/copy', body))) as { source: string };
      if (answer.source !== 'miss') hits++;
      // Clients think before they ask again: the model is idle meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return { hits: hits / requests, precision: precisionIn(await (await fetch(`${engine.url}/metrics`)).text()) };
  } finally {
    await engine.stop();
  }
}

/** Over all predictions that were judged. */
function precisionIn(metrics: string): number {
  const judged = (cameTrue: boolean) =>
    Number(
      new RegExp(`quintet_prefetch_predictions_total{[^}]*came_true="${cameTrue}"[^}]*} (\\d+)`).exec(metrics)?.[1] ??
        0,
    );
  return judged(true) / (judged(true) + judged(false));
}
