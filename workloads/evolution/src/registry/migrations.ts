// The registry's tables, one migration after another. A migration that was released is never changed.

export const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '0001-registry',
    sql: `
      CREATE TABLE datasets (
        hash text PRIMARY KEY,
        rows integer NOT NULL,
        features integer NOT NULL,
        target text NOT NULL,
        schema jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE runs (
        run_id text PRIMARY KEY,
        name text NOT NULL,
        dataset_hash text REFERENCES datasets,
        spec jsonb NOT NULL,
        metric text,
        seed integer NOT NULL,
        phase text NOT NULL CHECK (phase IN ('Running', 'Succeeded', 'Failed')),
        result jsonb,
        teams text[] NOT NULL DEFAULT '{}',
        started_at timestamptz NOT NULL DEFAULT now(),
        completed_at timestamptz
      );
      CREATE TABLE generations (
        run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
        generation integer NOT NULL,
        complete integer NOT NULL,
        best double precision NOT NULL,
        PRIMARY KEY (run_id, generation)
      );
      CREATE TABLE individuals (
        run_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
        index integer NOT NULL,
        generation integer NOT NULL,
        island integer NOT NULL,
        genome_key text NOT NULL,
        learner text NOT NULL,
        genes jsonb NOT NULL,
        parents integer[] NOT NULL,
        score double precision NOT NULL,
        fold_scores double precision[] NOT NULL,
        cost double precision NOT NULL,
        on_front boolean NOT NULL,
        PRIMARY KEY (run_id, index)
      );
      CREATE TABLE model_metadata (
        model_id text PRIMARY KEY,
        model_name text NOT NULL,
        model_type text NOT NULL,
        version integer NOT NULL,
        metric text NOT NULL,
        score double precision,
        holdout double precision,
        roc_auc double precision,
        f1_score double precision,
        parameters jsonb NOT NULL,
        evolution_id text REFERENCES runs (run_id) ON DELETE SET NULL,
        dataset_hash text REFERENCES datasets,
        sha256 text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        is_active boolean NOT NULL DEFAULT false,
        is_deployed boolean NOT NULL DEFAULT false,
        UNIQUE (model_name, version)
      );
      CREATE UNIQUE INDEX one_active_model ON model_metadata (model_name) WHERE is_active;
      CREATE TABLE model_artifacts (
        model_id text PRIMARY KEY REFERENCES model_metadata ON DELETE CASCADE,
        content bytea NOT NULL
      );
      CREATE TABLE deployments (
        model_name text PRIMARY KEY,
        champion text REFERENCES model_metadata (model_id),
        challenger text REFERENCES model_metadata (model_id),
        challenger_weight double precision NOT NULL DEFAULT 0 CHECK (challenger_weight BETWEEN 0 AND 1),
        changed_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        actor text NOT NULL,
        action text NOT NULL,
        subject text NOT NULL,
        details jsonb NOT NULL
      );
      CREATE INDEX individuals_by_score ON individuals (run_id, score DESC);
      CREATE INDEX models_by_name ON model_metadata (model_name, version DESC);
      CREATE INDEX audit_by_subject ON audit (subject, at DESC);
    `,
  },
  {
    // How far the coordinators of a run have come together, so that the next one goes on from there.
    name: '0002-resume',
    sql: `
      ALTER TABLE runs
        ADD COLUMN seconds double precision NOT NULL DEFAULT 0,
        ADD COLUMN placed integer NOT NULL DEFAULT 0,
        ADD COLUMN cut jsonb;
    `,
  },
  {
    // How a run that goes on no more has ended, and when one at work was last heard of.
    name: '0003-endings',
    sql: `
      ALTER TABLE runs
        DROP CONSTRAINT runs_phase_check,
        ADD CONSTRAINT runs_phase_check CHECK (phase IN ('Running', 'Interrupted', 'Cancelled', 'Succeeded', 'Failed')),
        ADD COLUMN namespace text,
        ADD COLUMN resource_uid text,
        ADD COLUMN attempts integer NOT NULL DEFAULT 1,
        ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
      CREATE INDEX runs_by_name ON runs (name, started_at DESC);
      -- A coordinator at work is heard of every few seconds: one that is not was killed, or cannot write.
      CREATE VIEW run_states AS
        SELECT run_id, name, namespace, seed, metric, attempts, placed, seconds, started_at, seen_at, completed_at, result ->> 'error' AS reason,
          CASE WHEN phase = 'Running' AND seen_at < now() - interval '2 minutes' THEN 'Lost' ELSE phase END AS state
        FROM runs;
    `,
  },
  {
    // What a model answers is its target and its task.
    name: '0004-task',
    sql: 'ALTER TABLE datasets ADD COLUMN task text;',
  },
  {
    // Nobody says of a resource that it went with its namespace, or with no controller there: its run is not awaited for ever.
    name: '0005-abandoned',
    sql: `
      CREATE OR REPLACE VIEW run_states AS
        SELECT run_id, name, namespace, seed, metric, attempts, placed, seconds, started_at, seen_at, completed_at, result ->> 'error' AS reason,
          CASE WHEN phase = 'Running' AND seen_at < now() - interval '2 minutes' OR phase = 'Interrupted' AND seen_at < now() - interval '7 days'
            THEN 'Lost' ELSE phase END AS state
        FROM runs;
    `,
  },
  {
    // The positive one of two classes last: what F1 is of.
    name: '0006-classes',
    sql: 'ALTER TABLE datasets ADD COLUMN classes text[];',
  },
];
