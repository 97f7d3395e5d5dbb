// Predictions over HTTP by whatever the registry has deployed under a name: a champion, and beside it a challenger with a share of the requests.
import { counter, type EngineDefinition, gaugeOf, histogram, QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import { EvolutionError } from '../errors.ts';
import type { Registry } from '../registry/registry.ts';
import type { ModelRow } from '../registry/rows.ts';
import type { Reading } from '../run/model.ts';
import { startOf } from '../text.ts';
import { driftMeter } from './drift.ts';
import { type ServedModel, type ServedModels, servedModels } from './models.ts';
import { predictInTurns } from './turns.ts';

export interface PredictOptions {
  /** Opens the registry; called again until it answers. */
  readonly open: () => Promise<Registry>;
  /** Name that versions are counted under. */
  readonly name: string;
  readonly drift: boolean;
  /** Milliseconds between looks at the registry. */
  readonly refreshEvery?: number;
}

const mostRows = 1000;
/** Of a row: as many as this, or four times those of the model, where that is more. */
const mostColumns = 100;
const cell = z.union([z.string().max(100_000), z.number(), z.boolean(), z.null()]);
const row = z.record(z.string().max(256), cell);
const role = z.enum(['Champion', 'Challenger']);

export function predictEngine({
  open,
  name,
  drift,
  refreshEvery = 5000,
}: PredictOptions): EngineDefinition<z.ZodObject> {
  let registry: Registry | undefined;
  let served: ServedModels | undefined;
  let timer: NodeJS.Timeout | undefined;
  const meter = driftMeter();
  const predict = predictInTurns();
  const connected = (): { registry: Registry; served: ServedModels } => {
    if (!registry || !served) throw new QuintetError('NOT_READY', { reason: 'the registry is not open yet' });
    return { registry, served };
  };
  return {
    name: 'evolution',
    version: '0.1.0',
    config: z.object({}),
    metrics: (metrics) => {
      gaugeOf(metrics, 'quintet_evolution_weight', 'Share of requests that a role gets.', ['role', 'model'], () =>
        served ? shares(served).map(({ modelId, role: as, share }) => [{ role: as, model: modelId }, share]) : [],
      );
      gaugeOf(metrics, 'quintet_evolution_drift', 'Stability index of a feature against training.', ['feature'], () =>
        meter.read().map(({ feature, index }) => [{ feature }, index]),
      );
    },
    routes: (server, context) => {
      const { registry: metrics } = context;
      const rows = counter(metrics, 'quintet_evolution_predictions_total', 'Rows predicted.', ['role', 'model']);
      const problems = counter(metrics, 'quintet_evolution_cell_problems_total', 'Cells unlike training.', [
        'role',
        'model',
      ]);
      const seconds = histogram(metrics, 'quintet_evolution_predict_seconds', 'Time of a prediction.', [
        'role',
        'model',
      ]);
      const body = only({
        rows: z.array(row).min(1).max(mostRows),
        key: z.string().min(1).max(256).optional().describe('Requests of one key always meet the same model.'),
        role: role.optional().describe('Asks for this one, whatever the shares.'),
      });
      server.post('/v1/predict', { schema: { body } }, async ({ body: { rows: asked, key, role: wanted }, signal }) => {
        const chosen = chosenOf(connected().served, wanted, key);
        const labels = { role: chosen.role, model: chosen.modelId };
        const stop = seconds.startTimer(labels);
        const reading = readRows(chosen, asked);
        const values = await predict(chosen.model, reading.features, asked.length, signal).catch(refuse);
        stop();
        rows.inc(labels, asked.length);
        problems.inc(labels, reading.problems.length);
        if (drift) meter.see(chosen, reading.features);
        return answerOf(chosen, asked.length, values, reading.problems);
      });
      server.get('/v1/models', async () => {
        const now = connected();
        return { deployed: shares(now.served), models: (await now.registry.models(name)).map(shown) };
      });
      const params = z.object({ id: z.string().min(1).max(64) });
      server.get('/v1/models/:id', { schema: { params } }, async ({ params: { id } }) =>
        shown(await found(connected().registry, name, id)),
      );
      server.get('/v1/models/:id/history', { schema: { params } }, async ({ params: { id } }) => {
        const now = connected();
        return { history: await now.registry.history((await found(now.registry, name, id)).modelId) };
      });
      const promotion = only({ role, weight: z.number().min(0).max(1).default(0) });
      const admin = { config: { admin: true }, schema: { params, body: promotion } };
      server.post('/v1/models/:id/promote', admin, async ({ params: { id }, body: wish, identity }) => {
        if (wish.role === 'Champion' && wish.weight > 0) {
          const reason = 'a champion has all requests that no challenger takes, and no weight; give role Challenger';
          throw new QuintetError('INVALID_REQUEST', { reason, field: 'weight' });
        }
        const now = connected();
        const { modelId } = await found(now.registry, name, id);
        await now.registry.promote(modelId, wish.role, wish.weight, identity.client).catch(notPromoted);
        await now.served.refresh();
        return { deployed: shares(now.served) };
      });
    },
    start: async (context) => {
      context.readiness.block('model', 'the registry is not open yet');
      const look = async (): Promise<void> => {
        try {
          registry ??= await open();
          served ??= servedModels(registry, name);
          await served.refresh();
          context.readiness.clear('registry');
          if (served.champion ?? served.challenger) context.readiness.clear('model');
          else context.readiness.block('model', `no model is deployed under the name ${name}`);
        } catch (error) {
          context.readiness.degrade('registry', (error as Error).message);
        }
        if (!context.signal.aborted) timer = setTimeout(() => void look(), refreshEvery);
      };
      await look();
    },
    onDrain: async () => {
      clearTimeout(timer);
      served?.close();
      await registry?.close();
    },
  };
}

function chosenOf(
  served: ServedModels,
  wanted: z.output<typeof role> | undefined,
  key: string | undefined,
): ServedModel {
  const chosen = wanted === undefined ? served.pick(key) : wanted === 'Champion' ? served.champion : served.challenger;
  if (!chosen) throw new QuintetError('NOT_READY', { reason: `no ${wanted ?? 'model'} is deployed` });
  return chosen;
}

/** A misspelt field is refused rather than lost. */
function only<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `there is no ${issue.keys
            .slice(0, 10)
            .map((key) => `“${startOf(key, 80)}”`)
            .join(', ')}; give ${Object.keys(shape).join(', ')} alone`
        : undefined,
  });
}

/** A row may have columns that the model does not know, though not any number of them. */
function readRows({ model }: ServedModel, rows: readonly z.output<typeof row>[]): Reading {
  const columns = new Set(model.stored.features.map((feature) => feature.column)).size;
  const most = Math.max(mostColumns, 4 * columns);
  for (const [i, each] of rows.entries()) {
    const count = Object.keys(each).length;
    if (count <= most) continue;
    const reason = `row ${i + 1} has ${count} columns, more than ${most}; the model knows ${columns}`;
    throw new QuintetError('INVALID_REQUEST', { reason, field: 'rows' });
  }
  try {
    return model.read(rows);
  } catch (error) {
    return refuse(error);
  }
}

/** What may never answer, or not beside the model that does, is no failure of ours. */
function notPromoted(error: unknown): never {
  if (error instanceof EvolutionError && error.reason === 'InputInvalid')
    throw new QuintetError('CONFLICT', { reason: error.message });
  throw error;
}

/** What the caller sent is the caller's to mend. */
function refuse(error: unknown): never {
  if (error instanceof EvolutionError && error.reason === 'InputInvalid')
    throw new QuintetError('INVALID_REQUEST', { reason: error.message, field: 'rows' });
  throw error;
}

function answerOf(
  { model, modelId, role: as }: ServedModel,
  rows: number,
  values: Float64Array,
  problems: readonly string[],
) {
  const { task, classes, outputs } = model.stored;
  const predictions = Array.from({ length: rows }, (_, i) => {
    if (task === 'Regression') return { value: values[i]! };
    const own = outputs === 1 ? [1 - values[i]!, values[i]!] : [...values.subarray(i * outputs, (i + 1) * outputs)];
    const best = own.indexOf(Math.max(...own));
    return { class: classes[best]!, probabilities: Object.fromEntries(classes.map((each, k) => [each, own[k]!])) };
  });
  return { model: { id: modelId, role: as }, predictions, problems };
}

function shares({ champion, challenger, weight }: ServedModels) {
  const both = champion && challenger;
  return [champion, challenger].flatMap((each) =>
    each
      ? [{ modelId: each.modelId, role: each.role, share: !both ? 1 : each === challenger ? weight : 1 - weight }]
      : [],
  );
}

/** Models of other names have services, and admins, of their own. */
async function found(registry: Registry, name: string, id: string): Promise<ModelRow> {
  const model = await registry.model(id);
  if (model?.name !== name) throw new QuintetError('NOT_FOUND', { what: `the model ${id}` });
  return model;
}

/** Without what only `quintet models show` is asked for. */
function shown(model: ModelRow) {
  return { ...model, parameters: undefined };
}
