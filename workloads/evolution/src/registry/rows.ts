// What the registry keeps, as its callers read and write it.

/** What a model is called that always says the same. */
export const constantType = 'Constant';

/** Rows that a list has at most. */
export const mostListed = 1000;

export interface ModelRow {
  readonly modelId: string;
  readonly name: string;
  readonly type: string;
  readonly version: number;
  readonly metric: string;
  readonly score: number | null;
  readonly holdout: number | null;
  readonly rocAuc: number | null;
  readonly f1Score: number | null;
  readonly parameters: unknown;
  readonly evolutionId: string | null;
  /** Hash of the data that it was taught with. */
  readonly dataset: string | null;
  readonly sha256: string;
  readonly createdAt: Date;
  readonly active: boolean;
  readonly deployed: boolean;
}

/** Ids of the models that answer under one name. */
export interface Deployment {
  readonly champion: string | null;
  readonly challenger: string | null;
  /** The challenger's share of requests, 0..1. */
  readonly weight: number;
}

/** What became of a run's model when it was registered. */
export interface Decision {
  readonly role: 'None' | 'Champion' | 'Challenger';
  readonly why?: string;
}

export interface AuditRow {
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  /** Id of the model. */
  readonly subject: string;
  readonly details: unknown;
}

export interface RunStart {
  readonly runId: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  /** Of the resource. It has one run at a time: an unfinished one of an earlier spec is over. */
  readonly uid?: string | undefined;
  readonly spec: unknown;
  readonly seed: number;
  readonly teams: readonly string[];
}

/** One coordinator's time with a run; a later one has a greater number, and the word. */
export interface RunAttempt {
  readonly runId: string;
  readonly attempt: number;
}

/**
 * Interrupted was told to end, or met what may pass: its resource goes on from there. Cancelled goes on only if somebody asks for it again. Lost has not been
 * heard of for two minutes: it was killed, or cannot write; or for a week since it was interrupted.
 */
type RunState = 'Running' | 'Interrupted' | 'Cancelled' | 'Lost' | 'Succeeded' | 'Failed';

export interface RunRow {
  readonly runId: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly state: RunState;
  /** Why it is no longer at work. */
  readonly reason: string | null;
  readonly seed: number;
  /** Coordinators that have worked on it. */
  readonly attempts: number;
  /** Pipelines. */
  readonly placed: number;
  /** Of its budget. */
  readonly seconds: number;
  readonly startedAt: Date;
  readonly seenAt: Date;
  readonly completedAt: Date | null;
}

export interface RunRows {
  readonly metric: string;
  readonly result: unknown;
  readonly dataset: {
    readonly hash: string;
    readonly rows: number;
    readonly features: number;
    readonly target: string;
    readonly task: string;
    /** Binary: the positive one last. */
    readonly classes: readonly string[];
    /** Features, each with its `column`. */
    readonly schema: readonly { readonly column: string }[];
  };
  readonly generations: readonly { readonly generation: number; readonly complete: number; readonly best: number }[];
  readonly individuals: readonly {
    readonly index: number;
    readonly generation: number;
    readonly island: number;
    readonly key: string;
    readonly learner: string;
    readonly genes: unknown;
    readonly parents: readonly number[];
    readonly score: number;
    readonly foldScores: readonly number[];
    readonly cost: number;
    readonly onFront: boolean;
  }[];
  readonly model: {
    readonly modelId: string;
    readonly name: string;
    readonly type: string;
    readonly score: number | null;
    readonly holdout: number | null;
    readonly rocAuc: number | null;
    readonly f1Score: number | null;
    readonly parameters: unknown;
    readonly sha256: string;
    readonly content: Uint8Array;
  };
}

export interface Promotion {
  readonly mode: 'None' | 'Champion' | 'Challenger';
  readonly weight: number;
  readonly minImprovement: number;
  /** Whether a greater score is better. */
  readonly greaterIsBetter: boolean;
}
