// Models, runs and their lineage in PostgreSQL. A run's results are written in one transaction: all of them or none.
import pg from 'pg';
import { EvolutionError, messageOf } from '../errors.ts';
import type { Before } from '../run/clock.ts';
import type { Genome } from '../search/genome.ts';
import type { Cut } from '../search/search.ts';
import { jsonOf } from '../text.ts';
import { promoteByHand } from './promotion.ts';
import { type Pruned, type PruneOptions, prune } from './prune.ts';
import {
  type AuditRow,
  type Decision,
  type Deployment,
  type ModelRow,
  mostListed,
  type Promotion,
  type RunAttempt,
  type RunRow,
  type RunRows,
  type RunStart,
} from './rows.ts';
import { finishRun, reviseRun, startRun } from './runs.ts';
import { bringUpToDate, requireTables } from './tables.ts';

export class Registry {
  readonly #pool: pg.Pool;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /**
   * Connects and brings the tables up to date; several may do so at once. With `migrate: false` it changes nothing.
   * @throws EvolutionError RegistryUnavailable, or RegistryRefused where there is none and none may be made
   */
  static async open(url: string, { migrate = true }: { migrate?: boolean } = {}): Promise<Registry> {
    // What a driver would take for the name of a host is told as what it is, and without the password in it.
    if (!/^postgres(ql)?:$/.test(URL.parse(url)?.protocol ?? '')) {
      throw new EvolutionError('RegistryUnavailable', 'PostgreSQL: the url is none', {
        field: 'spec.registry.postgres',
        fix: 'write postgres://USER:PASSWORD@HOST:5432/DATABASE, with special characters escaped, such as %23 for #',
      });
    }
    const pool = new pg.Pool({
      connectionString: url,
      max: 4,
      connectionTimeoutMillis: 10_000,
      statement_timeout: 60_000,
      // Also where packets vanish, and no server is there to keep the other limit.
      query_timeout: 75_000,
      keepAlive: true,
    });
    pool.on('error', () => undefined);
    const registry = new Registry(pool);
    try {
      await registry.#transaction(migrate ? bringUpToDate : requireTables);
      return registry;
    } catch (cause) {
      await pool.end();
      throw cause;
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** What earlier coordinators of the run have done: one that comes back goes on from there. */
  async startRun(run: RunStart): Promise<RunAttempt & { finished: boolean; before: Before }> {
    return this.#transaction((client) => startRun(client, run));
  }

  /** How much of its budget the run has used, and where its search was then. */
  async keepPace({ runId, attempt }: RunAttempt, seconds: number, placed: number): Promise<void> {
    await this.#query(
      `UPDATE runs SET seconds = greatest(seconds, $3), placed = greatest(placed, $4) WHERE run_id = $1 AND attempts = $2 AND phase = 'Running'`,
      [runId, attempt, seconds, placed],
    );
  }

  /** Where the clock cut the search: whoever repeats it stops there. */
  async keepCut({ runId, attempt }: RunAttempt, cut: Cut): Promise<void> {
    await this.#query(
      `UPDATE runs SET cut = $3, placed = $4 WHERE run_id = $1 AND attempts = $2 AND phase = 'Running'`,
      [runId, attempt, jsonOf(cut), cut.placed],
    );
  }

  /** The run's coordinator is at work. */
  async seeRun({ runId, attempt }: RunAttempt): Promise<void> {
    await this.#query(`UPDATE runs SET seen_at = now() WHERE run_id = $1 AND attempts = $2 AND phase = 'Running'`, [
      runId,
      attempt,
    ]);
  }

  /** The coordinator goes, and the run is not done. Nothing changes where it is, or where a later coordinator is at work. */
  async leaveRun({ runId, attempt }: RunAttempt, as: 'Interrupted' | 'Cancelled', reason: string): Promise<void> {
    await this.#query(
      `UPDATE runs SET phase = $3, result = $4, seen_at = now(), completed_at = CASE WHEN $3 = 'Cancelled' THEN now() END
       WHERE run_id = $1 AND attempts = $2 AND phase IN ('Running', 'Interrupted')`,
      [runId, attempt, as, jsonOf({ error: reason })],
    );
  }

  /** No other attempt can help; one that is at work already may see for itself. */
  async failRun({ runId, attempt }: RunAttempt, reason: string): Promise<void> {
    await this.#query(
      `UPDATE runs SET phase = 'Failed', result = $3, seen_at = now(), completed_at = now() WHERE run_id = $1 AND attempts = $2 AND phase = 'Running'`,
      [runId, attempt, jsonOf({ error: reason })],
    );
  }

  /** Latest first. */
  async runs(name?: string): Promise<RunRow[]> {
    const { rows } = await this.#query<RunRow>(
      `SELECT run_id AS "runId", name, namespace, state, reason, seed, attempts, placed, seconds, started_at AS "startedAt", seen_at AS "seenAt",
         completed_at AS "completedAt"
       FROM run_states WHERE $1::text IS NULL OR name = $1 ORDER BY started_at DESC, run_id LIMIT ${mostListed}`,
      [name ?? null],
    );
    return rows;
  }

  async resultOf(runId: string): Promise<unknown> {
    const { rows } = await this.#query<{ result: unknown }>('SELECT result FROM runs WHERE run_id = $1', [runId]);
    return rows[0]?.result;
  }

  /** Everything a run found; a second call for the same run changes nothing. Returns the model's version. */
  async finishRun(
    runId: string,
    rows: RunRows,
    promotion: Promotion,
  ): Promise<{ version: number; role: 'None' | 'Champion' | 'Challenger' }> {
    return this.#transaction((client) => finishRun(client, runId, rows, promotion));
  }

  /** A run that has ended, by a spec that asks for something else of what it found. */
  async reviseRun(run: Pick<RunStart, 'runId' | 'spec'> & { result: unknown }, promotion: Promotion): Promise<void> {
    await this.#transaction((client) => reviseRun(client, run, promotion));
  }

  /** @param team Only those of runs that are shared with it */
  async models(name?: string, team?: string): Promise<ModelRow[]> {
    const { rows } = await this.#query(
      `${selectModels} WHERE ($1::text IS NULL OR model_name = $1)
         AND ($2::text IS NULL OR evolution_id IN (SELECT run_id FROM runs WHERE $2 = ANY (teams)))
       ORDER BY model_name, version DESC LIMIT ${mostListed}`,
      [name ?? null, team ?? null],
    );
    return rows as unknown as ModelRow[];
  }

  /** By id, by `NAME@VERSION`, or by name: then the active version, else the latest. @throws EvolutionError InputInvalid */
  async find(reference: string): Promise<ModelRow> {
    const [, name, version] = /^(.+)@(\d{1,9})$/.exec(reference) ?? [];
    const { rows } = await this.#query(
      `${selectModels} WHERE model_id = $1 OR model_name = $1 OR (model_name = $2 AND version = $3)
       ORDER BY model_id = $1 DESC, is_active DESC, version DESC LIMIT 1`,
      [reference, name ?? null, version === undefined ? null : Number(version)],
    );
    if (rows[0]) return rows[0] as unknown as ModelRow;
    throw new EvolutionError('InputInvalid', `the registry has no model ${reference}`, {
      fix: 'give an id, a name, or NAME@VERSION, as `quintet models list` shows them',
    });
  }

  async model(modelId: string): Promise<ModelRow | undefined> {
    const { rows } = await this.#query(`${selectModels} WHERE model_id = $1`, [modelId]);
    return rows[0] as unknown as ModelRow | undefined;
  }

  async content(modelId: string): Promise<Uint8Array | undefined> {
    const { rows } = await this.#query<{ content: Buffer }>('SELECT content FROM model_artifacts WHERE model_id = $1', [
      modelId,
    ]);
    return rows[0]?.content;
  }

  async deployment(name: string): Promise<Deployment | undefined> {
    const { rows } = await this.#query<Deployment>(
      'SELECT champion, challenger, challenger_weight AS weight FROM deployments WHERE model_name = $1',
      [name],
    );
    return rows[0];
  }

  /** Makes a model champion, or challenger with a share of requests. @throws EvolutionError InputInvalid for what is none, or may never answer */
  async promote(modelId: string, as: 'Champion' | 'Challenger', weight: number, actor: string): Promise<void> {
    await this.#transaction((client) => promoteByHand(client, modelId, as, weight, actor));
  }

  /** Removes old versions of a name, and what their runs have tried but for the fronts; the runs stay. @throws EvolutionError InputInvalid when there is no such name */
  async prune(name: string, options: PruneOptions): Promise<Pruned[]> {
    return this.#transaction((client) => prune(client, name, options));
  }

  /** What was done to a model, or to all versions of a name, latest first. */
  async history(subject: string): Promise<AuditRow[]> {
    const { rows } = await this.#query<AuditRow>(
      `SELECT at, actor, action, subject, details FROM audit
       WHERE subject = $1 OR subject IN (SELECT model_id FROM model_metadata WHERE model_name = $1)
       ORDER BY at DESC, id DESC LIMIT ${mostListed}`,
      [subject],
    );
    return rows;
  }

  /** What the coordinator has last decided about a model. */
  async decisionOn(modelId: string): Promise<Decision | undefined> {
    const { rows } = await this.#query<Decision>(
      `SELECT details ->> 'role' AS role, details ->> 'why' AS why FROM audit
       WHERE subject = $1 AND action IN ('register', 'revise') ORDER BY id DESC LIMIT 1`,
      [modelId],
    );
    const [found] = rows;
    return found && { role: found.role, ...(found.why ? { why: found.why } : {}) };
  }

  /** The Pareto front of a run that has ended, best first; undefined when there is no such run. */
  async frontOf(runId: string): Promise<Genome[] | undefined> {
    const { rows } = await this.#query<Genome>(
      `SELECT learner, genes FROM individuals WHERE run_id = $1 AND on_front ORDER BY score DESC, index LIMIT 100`,
      [runId],
    );
    return rows.length > 0 ? rows : undefined;
  }

  /** For tests: the rows of a run in order. */
  async individuals(runId: string): Promise<{ index: number; genome_key: string; score: number; parents: number[] }[]> {
    const { rows } = await this.#query<{ index: number; genome_key: string; score: number; parents: number[] }>(
      'SELECT index, genome_key, score, parents FROM individuals WHERE run_id = $1 ORDER BY index',
      [runId],
    );
    return rows;
  }

  async #query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
  ): Promise<pg.QueryResult<R>> {
    try {
      return await this.#pool.query<R>(text, values);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async #transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw unavailable(cause);
    });
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((cause: Error) => (broken = cause));
      throw error instanceof EvolutionError ? error : unavailable(error);
    } finally {
      client.release(broken);
    }
  }
}

const selectModels = `SELECT model_id AS "modelId", model_name AS name, model_type AS type, version, metric, score, holdout, roc_auc AS "rocAuc", f1_score AS "f1Score",
  parameters, evolution_id AS "evolutionId", dataset_hash AS dataset, sha256, created_at AS "createdAt", is_active AS active, is_deployed AS deployed FROM model_metadata`;

/** SQLSTATE classes of data that PostgreSQL refuses, and refuses again: of no such form, against a constraint, or for no such table. */
const refusals = /^2[23]|^42(P01|703)$/;
/** A table or column that is not there. */
const unknownTable = /^42(P01|703)$/;

function unavailable(cause: unknown): EvolutionError {
  const { code: said } = cause as { code?: unknown };
  const code = typeof said === 'string' ? said : '';
  return new EvolutionError(
    refusals.test(code) ? 'RegistryRefused' : 'RegistryUnavailable',
    `PostgreSQL: ${messageOf(cause)}`,
    {
      field: 'spec.registry.postgres',
      ...(unknownTable.test(code) && {
        fix: 'the registry is of an earlier version: the next run brings it up to date',
      }),
    },
    cause,
  );
}
