// An EvolutionRun on the chart's Redis and PostgreSQL while a worker, the coordinator and both stores are killed: what the registry
// then holds is what an undisturbed run leaves there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { release } from '../install.ts';
import { eventually, type Kubectl } from '../kubectl.ts';
import { inside, kill } from './inside.ts';
import { freshNamespace, sharedCluster } from './shared.ts';
import { emptyRedis, rows, stores } from './stores.ts';

const namespace = 'e2e-evolution';
const schema = 'evolutionrun_e2e_evolution_';
const sample = join(import.meta.dirname, '../../docs/samples/evolutionrun.yaml');
let kubectl: Kubectl;

interface Run {
  metadata: { name: string };
  spec: Record<string, unknown>;
  status?: {
    phase?: string;
    message?: string;
    runId?: string;
    generation?: number;
    eta?: string;
    progress?: { percent?: number };
    evaluations?: { done?: number; cached?: number };
    best?: { score?: string; holdout?: string };
  };
}

/** The sample's data and search, made smaller, without a clock that could cut one run shorter than the other. */
async function start(name: string): Promise<void> {
  const [data, run] = parseAllDocuments(readFileSync(sample, 'utf8')).map((each) => each.toJS() as Run);
  const spec = {
    ...run?.spec,
    search: { population: 12, generations: 4, learners: ['GradientBoosting', 'Linear'], islands: 2, seed: 11 },
    validation: { folds: 3, holdout: '20%' },
    budget: { time: '1h', evaluations: 60 },
    workers: { min: 2, max: 2 },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
  };
  await kubectl.run(['apply', '-n', namespace, '-f', '-'], { input: stringify(data) });
  await kubectl.apply(stringify({ ...run, metadata: { name, namespace }, spec }));
}

const get = (name: string) => kubectl.json<Run>(['get', 'evolutionrun', name, '-n', namespace]);

function ended(name: string): Promise<Run> {
  return eventually(
    `EvolutionRun ${name} has Succeeded`,
    async () => {
      const run = await get(name);
      if (run.status?.phase === 'Failed') throw new Error(`it failed: ${run.status.message}`);
      return run.status?.phase === 'Succeeded' ? run : undefined;
    },
    {
      timeoutMs: 300_000,
      everyMs: 1000,
      describe: () => kubectl.run(['describe', 'evolutionrun,pods', '-n', namespace], { timeoutMs: 30_000 }),
    },
  );
}

async function pods(name: string, component: string): Promise<string[]> {
  const selector = `quintet.dev/name=${name},app.kubernetes.io/component=${component}`;
  const args = ['get', 'pods', '-n', namespace, '-l', selector, '--field-selector=status.phase=Running'];
  const { items } = await kubectl.json<{ items: { metadata: { name: string; deletionTimestamp?: string } }[] }>(args);
  return items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name);
}

/** Waits until the coordinator has placed so many pipelines. @returns its pod. */
function placed(name: string, least: number): Promise<string> {
  return eventually(
    `${name} has placed ${least} pipelines`,
    async () => {
      const [pod] = await pods(name, 'coordinator');
      if (!pod) return undefined;
      const script = `console.log(await (await fetch('http://127.0.0.1:8080/progress')).text() || '{}')`;
      const progress = await inside<{ placed?: number }>(kubectl, namespace, pod, script);
      return (progress.placed ?? 0) >= least ? pod : undefined;
    },
    { timeoutMs: 180_000, everyMs: 500 },
  );
}

/** What the resource says of a search that goes on. */
function shown(name: string): Promise<Run['status']> {
  return eventually(
    `the status of ${name} shows how far it is`,
    async () => {
      const { status } = await get(name);
      return status?.phase === 'Progressing' && (status.evaluations?.done ?? 0) > 0 && status.eta ? status : undefined;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

/** All that a run found, but when and how fast. */
async function found(runId: string): Promise<Record<string, string[][]>> {
  const of = (statement: string) => rows(kubectl, schema, statement.replaceAll('$run', `'${runId}'`));
  return {
    individuals: await of(
      `select index, generation, island, genome_key, learner, genes, parents, score, fold_scores, cost, on_front
       from individuals where run_id = $run order by index`,
    ),
    generations: await of('select generation, complete, best from generations where run_id = $run order by generation'),
    run: await of('select seed, metric, dataset_hash, phase from runs where run_id = $run'),
    model: await of(
      'select model_type, metric, score, holdout, roc_auc, f1_score, sha256 from model_metadata where evolution_id = $run',
    ),
  };
}

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
}, 400_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('an EvolutionRun in a storm', () => {
  it('ends with the front, registry rows and seed of an undisturbed run', async () => {
    // The same results are computed twice: nothing of one run may be found by the other.
    await emptyRedis(kubectl);
    await start('stormy');
    await placed('stormy', 1);
    await kill(kubectl, namespace, (await pods('stormy', 'worker'))[0] ?? '');
    const coordinator = await placed('stormy', 4);
    expect(await shown('stormy')).toMatchObject({
      generation: expect.any(Number),
      progress: { percent: expect.any(Number) },
      best: { score: expect.stringMatching(/^\d/) },
      eta: expect.stringMatching(/^\d+[hms]/),
    });
    await kill(kubectl, release.namespace, stores.redis);
    await kill(kubectl, namespace, coordinator);
    await kill(kubectl, release.namespace, stores.postgres);
    const stormy = await ended('stormy');

    await emptyRedis(kubectl);
    await start('calm');
    const calm = await ended('calm');

    const [storm, quiet] = [await found(stormy.status?.runId ?? ''), await found(calm.status?.runId ?? '')];
    expect(storm).toEqual(quiet);
    expect(quiet['individuals']?.length).toBeGreaterThan(20);
    expect(quiet['model']).toHaveLength(1);
    expect(stormy.status?.best).toMatchObject({ score: calm.status?.best?.score, holdout: calm.status?.best?.holdout });
  }, 600_000);
});
