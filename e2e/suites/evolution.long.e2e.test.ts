// An EvolutionRun on the chart's Redis and PostgreSQL while workers, the coordinator and both stores are killed at random, or while it is suspended: what
// the registry then holds is what an undisturbed run leaves there. And one that is cancelled. STORMS=4,5,6 names other seeds of the killing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { seededRandom } from '../faults/plan.ts';
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
    usage?: { cpuHours?: string };
  };
}

/** The sample's data and search, made smaller, without a clock that could cut one run shorter than the other. */
async function start(name: string): Promise<void> {
  const [data, run] = parseAllDocuments(readFileSync(sample, 'utf8')).map((each) => each.toJS() as Run);
  const spec = {
    ...run?.spec,
    search: { population: 24, generations: 40, learners: ['GradientBoosting', 'RandomForest', 'Linear'], seed: 11 },
    validation: { folds: 5, holdout: '20%' },
    budget: { time: '1h', evaluations: 960 },
    earlyStopping: { generations: 40 },
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

/** Pods of the run, whatever they do. */
async function left(name: string): Promise<string> {
  const types = 'deployments,jobs,services,configmaps,pods';
  return kubectl.run(['get', types, '-n', namespace, '-l', `quintet.dev/name=${name}`, '-o', 'name']);
}

/** Waits until the registry tells this of the run that a resource of the name began last. */
function registered(name: string, state: string): Promise<string> {
  const statement = `select state, coalesce(reason, ''), run_id from run_states where name = '${name}' order by started_at desc limit 1`;
  let last: string[] = [];
  return eventually(
    `the registry says that ${name} is ${state}`,
    async () => {
      last = (await rows(kubectl, schema, statement))[0] ?? [];
      return last[0] === state ? last[1] : undefined;
    },
    { timeoutMs: 60_000, everyMs: 1000, describe: async () => last.join(' | ') },
  );
}

const suspend = (name: string, yes: boolean) =>
  kubectl.run(['patch', 'evolutionrun', name, '-n', namespace, '--type=merge', '-p', `{"spec":{"suspend":${yes}}}`]);

type Victim = 'worker' | 'coordinator' | 'redis' | 'postgres';
const victims: readonly Victim[] = ['worker', 'coordinator', 'redis', 'postgres'];
const seeds = (process.env['STORMS'] ?? '1,2,3').split(',').map(Number);
/** Milliseconds between two deaths; most of them fall while something else is still coming back, and all before the run can end. */
const pause = { least: 500, most: 5000 };

/** Each at least once, and as many again, in an order and at times of the seed's. */
function storm(seed: number): { victim: Victim; after: number }[] {
  const random = seededRandom(seed);
  const more = victims.map(() => victims[Math.floor(random() * victims.length)] ?? 'worker');
  return [...victims, ...more]
    .map((victim) => ({ victim, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ victim }) => ({ victim, after: pause.least + random() * (pause.most - pause.least) }));
}

/** @returns whether there was anybody to kill */
async function strike(name: string, victim: Victim): Promise<boolean> {
  if (victim === 'redis' || victim === 'postgres') {
    await kill(kubectl, release.namespace, stores[victim]);
    return true;
  }
  const [pod] = await pods(name, victim);
  if (pod) await kill(kubectl, namespace, pod);
  return pod !== undefined;
}

/** Kills as the seed says, while the run searches. @returns whom */
async function disturb(name: string, seed: number): Promise<Victim[]> {
  const killed: Victim[] = [];
  for (const { victim, after } of storm(seed)) {
    await new Promise((resolve) => setTimeout(resolve, after));
    const struck = await eventually(
      `${name} has a ${victim} to lose`,
      async () => {
        if ((await get(name)).status?.phase === 'Succeeded') return 'Ended';
        return (await strike(name, victim)) ? 'Struck' : undefined;
      },
      { timeoutMs: 120_000, everyMs: 500 },
    );
    if (struck === 'Ended') break;
    killed.push(victim);
  }
  return killed;
}

let calm: Awaited<ReturnType<typeof found>>;
let searching: Run['status'];
let score: Run['status'];

beforeAll(async () => {
  ({ kubectl } = await sharedCluster());
  await freshNamespace(kubectl, namespace);
  await emptyRedis(kubectl);
  await start('calm');
  searching = await shown('calm');
  score = (await ended('calm')).status;
  calm = await found(score?.runId ?? '');
}, 900_000);

// The node has room for one suite's pods.
afterAll(async () => {
  await kubectl?.run(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
});

describe('an EvolutionRun in a storm', () => {
  it('is compared with one that has found something', () => {
    expect(calm['individuals']?.length).toBeGreaterThan(50);
    expect(calm['model']).toHaveLength(1);
    expect(searching).toMatchObject({
      generation: expect.any(Number),
      progress: { percent: expect.any(Number) },
      best: { score: expect.stringMatching(/^\d/) },
      eta: expect.stringMatching(/^\d+[hms]/),
    });
  });

  it.each(seeds)(
    'of seed %i ends with the front, registry rows and seed of an undisturbed run',
    async (seed) => {
      const name = `storm-${seed}`;
      // The same results are computed again: nothing of one run may be found by the other.
      await emptyRedis(kubectl);
      await start(name);
      await placed(name, 1);
      const killed = await disturb(name, seed);
      expect(new Set(killed), `killed ${killed.join(', ')}`).toEqual(new Set(victims));
      const { status } = await ended(name);
      expect(await found(status?.runId ?? '')).toEqual(calm);
      expect(status?.best).toMatchObject({ score: score?.best?.score, holdout: score?.best?.holdout });
    },
    600_000,
  );
});

describe('an EvolutionRun', () => {
  it('that is suspended has no pods, says so in the registry, and goes on to the end of an undisturbed run', async () => {
    await emptyRedis(kubectl);
    await start('rested');
    await placed('rested', 20);
    await suspend('rested', true);
    await eventually('no pod of rested is left', async () => !(await left('rested')).includes('pod/'), {
      timeoutMs: 90_000,
      everyMs: 500,
      describe: () => left('rested'),
    });
    expect((await get('rested')).status?.phase).toBe('Suspended');
    expect(await registered('rested', 'Interrupted')).toBe('the coordinator was told to end');
    await suspend('rested', false);
    await registered('rested', 'Running');
    const { status } = await ended('rested');
    expect(await found(status?.runId ?? '')).toEqual(calm);
    expect(await registered('rested', 'Succeeded')).toBe('');
    expect(Number(status?.usage?.cpuHours)).toBeGreaterThan(0);
  }, 600_000);

  it('that is deleted leaves nothing behind but that it was cancelled', async () => {
    await emptyRedis(kubectl);
    await start('unwanted');
    await placed('unwanted', 5);
    await kubectl.run(['delete', 'evolutionrun', 'unwanted', '-n', namespace, '--wait=false']);
    expect(await registered('unwanted', 'Cancelled')).toBe('its resource was deleted');
    await eventually('nothing of unwanted is left', async () => (await left('unwanted')).trim() === '', {
      timeoutMs: 90_000,
      everyMs: 500,
      describe: () => left('unwanted'),
    });
  }, 300_000);
});
