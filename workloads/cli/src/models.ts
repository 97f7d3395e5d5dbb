// `quintet models`: what a registry of EvolutionRuns holds, what was done to it, and who answers predictions.
import { userInfo } from 'node:os';
import {
  type AuditRow,
  type Deployment,
  EvolutionError,
  type ModelRow,
  mostListed,
  Registry,
} from '@quintet/evolution';
import { guarded, UsageError } from './guarded.ts';
import { columns } from './table.ts';

export interface RegistryFlags {
  postgres?: string;
  json?: boolean;
}

type Work = (registry: Registry) => Promise<{ text: string; value: unknown }>;

/** @returns the exit code. */
function inRegistry(flags: RegistryFlags, work: Work): Promise<number> {
  return guarded(async () => {
    const url = flags.postgres ?? process.env['QUINTET_POSTGRES_URL'];
    if (!url) throw new UsageError('say where the registry is, by --postgres or QUINTET_POSTGRES_URL');
    if (!/^postgres(ql)?:\/\/./.test(url))
      throw new UsageError(
        'the address of the registry is none: it begins with postgres://, such as postgres://user@host/registry',
      );
    const registry = await opened(url);
    try {
      const { text, value } = await work(registry);
      console.log(flags.json ? JSON.stringify(value) : text);
    } finally {
      await registry.close();
    }
  });
}

/** Whoever calls has no resource that could be wrong. */
async function opened(url: string): Promise<Registry> {
  try {
    return await Registry.open(url, { migrate: false });
  } catch (error) {
    if (error instanceof EvolutionError && error.where.field !== undefined)
      error.where.field = '--postgres or QUINTET_POSTGRES_URL';
    throw error;
  }
}

export function listModels(flags: RegistryFlags & { name?: string; team?: string }): Promise<number> {
  return inRegistry(flags, async (registry) => {
    const models = sayWhereCut(await registry.models(flags.name, flags.team), 'see others by --name');
    const head = ['NAME', 'VERSION', 'TYPE', 'SCORE', 'HOLDOUT', 'STATE', 'CREATED', 'ID'];
    const rows = models.map((each) => [
      each.name,
      String(each.version),
      each.type,
      `${each.metric} ${figure(each.score)}`,
      figure(each.holdout),
      [each.active ? 'active' : '', each.deployed ? 'deployed' : ''].filter(Boolean).join(', '),
      minute(each.createdAt),
      each.modelId,
    ]);
    return { value: models, text: models.length === 0 ? 'no models' : columns([head, ...rows]).join('\n') };
  });
}

export function showModel(reference: string, flags: RegistryFlags): Promise<number> {
  return inRegistry(flags, async (registry) => {
    const model = await registry.find(reference);
    const deployment = await registry.deployment(model.name);
    const rows: [string, string][] = [
      ['model', `${model.name}@${model.version}, ${model.modelId}`],
      ['type', model.type],
      ...membersOf(model),
      [model.metric, `${figure(model.score)} over folds, ${figure(model.holdout)} on rows never seen`],
      ['RocAUC, F1', `${figure(model.rocAuc)}, ${figure(model.f1Score)}`],
      ['answers', roleOf(model, deployment)],
      ['run', model.evolutionId ?? 'is gone'],
      ['data', model.dataset ?? 'is not known'],
      ['sha256', model.sha256],
      ['created', model.createdAt.toISOString()],
    ];
    return { value: { ...model, deployment }, text: columns(rows).join('\n') };
  });
}

export function modelHistory(reference: string, flags: RegistryFlags): Promise<number> {
  return inRegistry(flags, async (registry) => {
    // A name means all its versions; anything else one model.
    const versions = sayWhereCut(await registry.models(reference), 'older versions are left out').toReversed();
    const one = versions.length > 0 ? undefined : await registry.find(reference);
    const done = sayWhereCut(await registry.history(one?.modelId ?? reference), 'older acts are left out');
    const trend = (one ? [one] : versions).map((each) => [
      minute(each.createdAt),
      `${each.name}@${each.version}`,
      `${each.metric} ${figure(each.score)}`,
      figure(each.holdout),
    ]);
    const acts = done.map(({ at, actor, action, subject, details }) => [
      minute(at),
      actor,
      action,
      subject,
      JSON.stringify(details),
    ]);
    const text = [
      ...columns([['CREATED', 'VERSION', 'SCORE', 'HOLDOUT'], ...trend]),
      '',
      ...columns([['AT', 'ACTOR', 'ACTION', 'MODEL', 'DETAILS'], ...acts]),
    ].join('\n');
    return { value: { versions: one ? [one] : versions, history: done satisfies AuditRow[] }, text };
  });
}

export function listRuns(flags: RegistryFlags & { name?: string }): Promise<number> {
  return inRegistry(flags, async (registry) => {
    const runs = sayWhereCut(await registry.runs(flags.name), 'see others by --name');
    const head = ['NAME', 'STATE', 'PIPELINES', 'USED', 'STARTED', 'LAST SEEN', 'RUN', 'WHY'];
    const rows = runs.map((each) => [
      each.name,
      each.state,
      String(each.placed),
      `${Math.round(each.seconds)}s`,
      minute(each.startedAt),
      minute(each.seenAt),
      each.runId,
      each.reason ?? '',
    ]);
    return { value: runs, text: runs.length === 0 ? 'no runs' : columns([head, ...rows]).join('\n') };
  });
}

export function promoteModel(
  reference: string,
  flags: RegistryFlags & { as: 'Champion' | 'Challenger'; weight?: number },
): Promise<number> {
  return inRegistry(flags, async (registry) => {
    if (flags.as === 'Champion' && flags.weight !== undefined)
      throw new UsageError('--weight goes with --as Challenger: a champion has all requests that no challenger takes');
    const { modelId, name, version } = await registry.find(reference);
    const weight = flags.as === 'Champion' ? 0 : (flags.weight ?? 0.1);
    await registry.promote(modelId, flags.as, weight, userInfo().username);
    const deployment = await registry.deployment(name);
    const share = flags.as === 'Champion' ? '' : ` of ${percent(weight)} of requests`;
    return { value: { modelId, deployment }, text: `${name}@${version} is ${flags.as}${share}` };
  });
}

export function pruneModels(name: string, flags: RegistryFlags & { keep: number; dryRun?: boolean }): Promise<number> {
  return inRegistry(flags, async (registry) => {
    const { keep, dryRun = false } = flags;
    const pruned = await registry.prune(name, { keep, dryRun, actor: userInfo().username });
    const head = ['VERSION', 'CREATED', 'MIB', 'PIPELINES', 'ID'];
    const rows = pruned.map((each) => [
      String(each.version),
      minute(each.createdAt),
      (each.bytes / 2 ** 20).toFixed(1),
      String(each.individuals),
      each.modelId,
    ]);
    const said = `${pruned.length} ${pruned.length === 1 ? 'version' : 'versions'} of ${name} ${dryRun ? 'would go' : 'removed'}`;
    return {
      value: { pruned, dryRun },
      text: (pruned.length === 0 ? [said] : [...columns([head, ...rows]), said]).join('\n'),
    };
  });
}

export function compareModels(one: string, other: string, flags: RegistryFlags): Promise<number> {
  return inRegistry(flags, async (registry) => {
    const [a, b] = [await registry.find(one), await registry.find(other)];
    const difference = (x: number | null, y: number | null) =>
      x === null || y === null ? '' : `${y >= x ? '+' : '−'}${Math.abs(y - x).toFixed(4)}`;
    const line = (name: string, of: (model: ModelRow) => number | null): string[] => [
      name,
      figure(of(a)),
      figure(of(b)),
      difference(of(a), of(b)),
    ];
    const alike = a.metric === b.metric;
    const score = (of: (model: ModelRow) => number | null, where: string): string[] =>
      alike
        ? line(`${a.metric} ${where}`, of)
        : [`score ${where}`, `${a.metric} ${figure(of(a))}`, `${b.metric} ${figure(of(b))}`, 'not comparable'];
    const doubts = [
      ...(alike ? [] : ['they are judged by different metrics']),
      ...(a.dataset === b.dataset ? [] : ['they were taught and judged with different data']),
    ];
    const table = [
      ['', `${a.name}@${a.version}`, `${b.name}@${b.version}`, 'DIFFERENCE'],
      score((model) => model.score, 'over folds'),
      score((model) => model.holdout, 'on holdout'),
      line('RocAUC', (model) => model.rocAuc),
      line('F1', (model) => model.f1Score),
      ['type', a.type, b.type, ''],
    ];
    const text = [...columns(table), ...doubts.map((doubt) => `careful: ${doubt}`)].join('\n');
    return { value: { models: [a, b], comparable: doubts.length === 0, doubts }, text };
  });
}

/** A list that is full may lack the rest. */
function sayWhereCut<T>(rows: T[], rest: string): T[] {
  if (rows.length === mostListed) console.error(`${mostListed} are shown, and no more: ${rest}`);
  return rows;
}

function membersOf({ parameters }: ModelRow): [string, string][] {
  const { ensemble } = parameters as { ensemble?: { weight: number; learner: string; score: number }[] };
  return (ensemble ?? []).map(({ weight, learner, score }): [string, string] => [
    '',
    `${percent(weight)} ${learner}, ${figure(score)} alone`,
  ]);
}

function roleOf({ modelId }: ModelRow, deployment: Deployment | undefined): string {
  if (deployment?.champion === modelId) return 'as champion';
  if (deployment?.challenger === modelId) return `as challenger, ${percent(deployment.weight)} of requests`;
  return 'no requests';
}

function figure(value: number | null): string {
  return value === null ? 'not known' : value.toFixed(4);
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

function minute(at: Date): string {
  return at.toISOString().slice(0, 16);
}
