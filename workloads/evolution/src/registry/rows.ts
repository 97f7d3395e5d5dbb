// What the registry keeps, as its callers read and write it.

/** What a model is called that always says the same. */
export const constantType = 'Constant';

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
  readonly spec: unknown;
  readonly seed: number;
  readonly teams: readonly string[];
}

export interface RunRows {
  readonly metric: string;
  readonly result: unknown;
  readonly dataset: {
    readonly hash: string;
    readonly rows: number;
    readonly features: number;
    readonly target: string;
    readonly schema: unknown;
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
