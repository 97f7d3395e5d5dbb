// EvolutionRun: evolutionary AutoML. A data set, what is sought, how long, with how many workers, and where the winner goes.
import { z } from 'zod';
import {
  claimPath,
  configMapKey,
  modelSource,
  oneOutput,
  outputMembers,
  pod,
  resources,
  s3Object,
  scheduling,
  secretRef,
  statusBase,
  suspend,
} from './common.ts';
import { ageColumn, defineKind, type ResourceOf, statusColumn } from './definition.ts';
import {
  bytes,
  decimal,
  duration,
  exactlyOne,
  httpUrl,
  int,
  keyed,
  list,
  name,
  ordered,
  percentage,
  type Rule,
  ruled,
  set,
  sha256,
  text,
  time,
  toggle,
} from './fields.ts';
import { auth, connection, figure } from './serving.ts';

const learners = [
  'GradientBoosting',
  'RandomForest',
  'ExtraTrees',
  'Linear',
  'NearestNeighbors',
  'NaiveBayes',
  'NeuralNetwork',
] as const;
const classMetrics = ['RocAUC', 'F1', 'LogLoss', 'Accuracy', 'BalancedAccuracy'] as const;
const valueMetrics = ['RMSE', 'MAE', 'R2'] as const;

/** A column is called what the file calls it. */
const columnName = () => text(256);

/** Rules that durations, where they are given, are no `0s`: what has no time ends before it begins. */
const lasting = <M extends string>(...members: M[]): Rule<{ readonly [member in M]?: string }>[] =>
  members.map((member) => ({
    cel: `!has(self.${member}) || self.${member}.matches('[1-9]')`,
    holds: ({ [member]: value }) => value === undefined || /[1-9]/.test(value),
    message: `${member} must be above zero, such as 10m`,
    field: [member],
  }));

const dataset = ruled(
  z.object({
    source: ruled(
      z.object({
        persistentVolumeClaim: claimPath().exactOptional().describe('A file on a volume.'),
        configMap: configMapKey().exactOptional().describe('A key of a ConfigMap, for small sets.'),
        s3: s3Object().exactOptional().describe('An object in S3.'),
        http: z
          .object({
            url: httpUrl().describe('Address.'),
            secretRef: secretRef().exactOptional().describe('Secret with a bearer token.'),
          })
          .exactOptional()
          .describe('A download.'),
      }),
      exactlyOne('persistentVolumeClaim', 'configMap', 's3', 'http'),
    ).describe('Where it is.'),
    format: z.enum(['CSV', 'Parquet']).default('CSV').describe('Format.'),
    sha256: sha256().exactOptional().describe('Digest that the file must have.'),
    maxSize: bytes().default('2Gi').describe('Larger files are refused.'),
    target: columnName().describe('Column that is predicted.'),
    task: z.enum(['Binary', 'Multiclass', 'Regression']).describe('What is predicted.'),
    positiveClass: text(256)
      .exactOptional()
      .describe(
        'Binary: value that counts as positive; left out, the one that says yes (of 0/1, false/true, no/yes and the like), else the rarer one.',
      ),
    weight: columnName().exactOptional().describe('Column of sample weights.'),
    columns: keyed(
      z.object({
        name: columnName().describe('Column.'),
        type: z
          .enum(['Numeric', 'Categorical', 'Text', 'DateTime', 'Ignore'])
          .describe('Type, instead of the inferred one.'),
      }),
      512,
    )
      .exactOptional()
      .describe('Columns that inference would get wrong.'),
  }),
  {
    cel: "!has(self.positiveClass) || self.task == 'Binary'",
    holds: ({ positiveClass, task }) => positiveClass === undefined || task === 'Binary',
    message: 'positiveClass is only for task: Binary',
    field: ['positiveClass'],
  },
);

const objective = z.object({
  metric: z
    .enum([...classMetrics, ...valueMetrics])
    .exactOptional()
    .describe('Score; left out, RocAUC, LogLoss or RMSE by the task.'),
  inferenceCost: z
    .enum(['Minimize', 'Ignore'])
    .default('Minimize')
    .describe('Whether the time of a prediction is the second objective.'),
});

const search = z.object({
  population: int(4, 10_000).default(60).describe('Pipelines of a generation, over all islands.'),
  generations: int(1, 10_000).default(40).describe('Most generations.'),
  learners: set(z.enum(learners), learners.length)
    .min(1)
    .default(['GradientBoosting', 'RandomForest', 'Linear', 'NeuralNetwork'])
    .describe('What pipelines may end in.'),
  islands: int(1, 64).default(2).describe('Populations that evolve apart.'),
  migration: z
    .object({
      interval: int(1, 1000).default(5).describe('Generations between migrations.'),
      count: int(1, 1000).default(2).describe('Pipelines that move.'),
    })
    .prefault({})
    .describe('Exchange of islands.'),
  crossover: percentage().default('80%').describe('Probability of crossover.'),
  mutation: percentage().default('20%').describe('Probability of mutation, for each gene.'),
  preprocessing: set(z.enum(['Imputation', 'Scaling', 'OneHot', 'TargetEncoding', 'Selection', 'Interactions']), 6)
    .default(['Imputation', 'Scaling', 'OneHot', 'TargetEncoding', 'Selection'])
    .describe('Steps that pipelines may have.'),
  frozen: keyed(
    z.object({
      name: name().describe('Name.'),
      source: modelSource().describe('Where its file is.'),
      sha256: sha256().exactOptional().describe('Digest that the file must have.'),
    }),
    16,
  )
    .exactOptional()
    .describe('ONNX models beside the pipelines as they are; they should have learned from none of the rows.'),
  warmStart: text(128)
    .exactOptional()
    .describe('Id of a run in the same registry: its Pareto front is tried before the defaults.'),
  seed: int(0, 2_147_483_647)
    .default(0)
    .describe('Seed; the same one gives the same result with any number of workers.'),
});

const validation = ruled(
  z.object({
    folds: int(2, 50).default(5).describe('Folds of cross-validation.'),
    holdout: percentage().default('20%').describe('Share that no search sees.'),
    split: z
      .enum(['Random', 'Stratified', 'Group', 'Time'])
      .exactOptional()
      .describe('How rows are parted; left out, Stratified for classes and Random for numbers.'),
    groupColumn: columnName().exactOptional().describe('Group: rows of one value stay together.'),
    timeColumn: columnName().exactOptional().describe('Time: earlier rows teach, later ones judge.'),
    gap: duration().exactOptional().describe('Time: what is left out between them.'),
    leakage: z
      .enum(['Stop', 'Warn', 'None'])
      .default('Warn')
      .describe('What follows when the audit finds target copies, duplicates or identifiers.'),
  }),
  {
    cel: "(has(self.split) && self.split == 'Group') == has(self.groupColumn)",
    holds: ({ split, groupColumn }) => (split === 'Group') === (groupColumn !== undefined),
    message: 'groupColumn is required when split is Group, and refused otherwise',
    field: ['groupColumn'],
  },
  {
    cel: "(has(self.split) && self.split == 'Time') == has(self.timeColumn)",
    holds: ({ split, timeColumn }) => (split === 'Time') === (timeColumn !== undefined),
    message: 'timeColumn is required when split is Time, and refused otherwise',
    field: ['timeColumn'],
  },
  {
    cel: '!has(self.gap) || has(self.timeColumn)',
    holds: ({ gap, timeColumn }) => gap === undefined || timeColumn !== undefined,
    message: 'gap needs split: Time and timeColumn',
    field: ['gap'],
  },
);

const promotion = ruled(
  z.object({
    mode: z.enum(['None', 'Champion', 'Challenger']).default('None').describe('What becomes of the winner.'),
    weight: percentage().default('10%').describe('Challenger: share of requests.'),
    minImprovement: decimal().default('0').describe('Smallest gain over the model that is active.'),
    model: name().exactOptional().describe('Name that versions are counted under; left out, that of the run.'),
    serving: z
      .object({
        replicas: int(0, 1000).default(1).describe('Pods that serve predictions.'),
        resources: resources('500m', '512Mi'),
        auth: auth().exactOptional().describe('Bearer tokens.'),
        drift: toggle().default('Enabled').describe('Compares inputs with those of training.'),
      })
      .exactOptional()
      .describe('The service of predictions; its defaults when left out.'),
  }),
  {
    cel: "!has(self.serving) || self.mode != 'None'",
    holds: ({ serving, mode }) => serving === undefined || mode !== 'None',
    message: 'serving needs mode: Champion or Challenger',
    field: ['serving'],
  },
);

const spec = ruled(
  z.object({
    dataset: dataset.describe('What is learned from.'),
    objective: objective.prefault({}).describe('What is sought.'),
    search: search.prefault({}).describe('How it is sought.'),
    validation: validation.prefault({}).describe('How it is judged.'),
    budget: ruled(
      z.object({
        time: duration().default('30m').describe('Wall time, kept within 5 %.'),
        evaluations: int(1, 10_000_000).exactOptional().describe('Most pipelines that are evaluated.'),
      }),
      ...lasting('time'),
    )
      .prefault({})
      .describe('The first that is reached ends the search.'),
    earlyStopping: z
      .object({
        generations: int(1, 1000).default(8).describe('Generations without gain that end the search.'),
        minImprovement: decimal().default('0').describe('What counts as gain.'),
      })
      .prefault({})
      .describe('Ends a search that has stalled.'),
    evaluation: ruled(
      z.object({
        timeLimit: duration().default('30m').describe('Longest evaluation of one fold.'),
        retries: int(0, 20).default(2).describe('How often a failed one is tried again.'),
        racing: toggle().default('Enabled').describe('Stops pipelines early that cannot win.'),
        memoryLimit: bytes()
          .exactOptional()
          .describe(
            'Most JavaScript heap of one evaluation; memory of native libraries is bounded by the pod alone. Left out, what the worker has.',
          ),
      }),
      ...lasting('timeLimit'),
    )
      .prefault({})
      .describe('One evaluation.'),
    ensemble: z
      .object({ maxMembers: int(1, 100).default(10).describe('Most members; 1 is the best pipeline alone.') })
      .prefault({})
      .describe('Greedy ensemble at the end.'),
    workers: ruled(
      z.object({
        min: int(1, 1000).default(1).describe('Fewest workers.'),
        max: int(1, 1000).default(4).describe('Most workers; they follow the queue.'),
      }),
      ordered('min', 'max'),
    )
      .prefault({})
      .describe('Pods that evaluate.'),
    queue: z
      .object({ redis: connection().describe('Redis.') })
      .exactOptional()
      .describe("Task queue. Left out, the chart's own Redis."),
    registry: z
      .object({ postgres: connection().describe('Postgres.') })
      .exactOptional()
      .describe("Model registry. Left out, the chart's own Postgres."),
    caches: ruled(
      z.object({
        evaluation: duration()
          .default('12h')
          .describe('Scores and fitted models of pipelines, by what they follow from.'),
        dataset: duration().default('24h').describe('Data on the workers.'),
      }),
      ...lasting('evaluation', 'dataset'),
    )
      .prefault({})
      .describe('How long Redis keeps an entry; other data has other entries. Whole runs stay in the registry.'),
    promotion: promotion.prefault({}).describe('What becomes of the winner.'),
    share: set(name(), 64)
      .exactOptional()
      .describe(
        'Teams whose lists of the registry have the run, as in `quintet models list --team`; it keeps nobody else out.',
      ),
    output: ruled(z.object(outputMembers()), oneOutput)
      .exactOptional()
      .describe('Where models and the report go; left out, the registry alone.'),
    retries: int(0, 100).default(6).describe('How often the coordinator is started again.'),
    activeDeadline: duration().exactOptional().describe('Longest time of the whole run, from its first pod.'),
    ttlAfterFinished: duration()
      .exactOptional()
      .describe('How long after its end its pods and Jobs are kept. The resource and its results stay.'),
    suspend: suspend(),
    resources: resources('1', '2Gi'),
    scheduling: scheduling().prefault({}).describe('Where pods run.'),
    pod: pod().exactOptional().describe('The few fields of a pod that people need.'),
  }),
  {
    cel: `!has(self.objective.metric) || (self.dataset.task == 'Regression') == (self.objective.metric in [${valueMetrics.map((metric) => `'${metric}'`).join(', ')}])`,
    holds: ({ objective: { metric }, dataset: { task } }) =>
      metric === undefined || (task === 'Regression') === valueMetrics.some((each) => each === metric),
    message: `objective.metric must be one of ${valueMetrics.join(', ')} for Regression, and one of ${classMetrics.join(', ')} otherwise`,
    field: ['objective', 'metric'],
  },
  {
    cel: 'self.search.islands * 4 <= self.search.population',
    holds: ({ search: { islands, population } }) => islands * 4 <= population,
    message: 'search.islands must leave each island a population of four at least',
    field: ['search', 'islands'],
  },
  ...lasting('activeDeadline'),
);

const status = z.object({
  ...statusBase(),
  revision: z
    .string()
    .max(64)
    .exactOptional()
    .describe('Hash of the part of the spec that this status is the result of.'),
  runId: z.string().max(64).exactOptional().describe('Id in the registry.'),
  startTime: time().exactOptional().describe('When the first pod started.'),
  completionTime: time().exactOptional().describe('When it ended.'),
  generation: int(0, 10_000).exactOptional().describe('Generation at work.'),
  evaluations: z
    .object({
      done: z.int().min(0).exactOptional().describe('Evaluated in full.'),
      cached: z.int().min(0).exactOptional().describe('Known before.'),
      racedOut: z.int().min(0).exactOptional().describe('Stopped early.'),
      failed: z.int().min(0).exactOptional().describe('Failed for good.'),
      queued: z.int().min(0).exactOptional().describe('Waiting.'),
    })
    .exactOptional()
    .describe('Counts.'),
  best: z
    .object({
      modelId: z.string().max(64).exactOptional().describe('Id in the registry.'),
      learner: z.string().max(64).exactOptional().describe('Learner.'),
      score: figure().describe('Cross-validated score.'),
      holdout: figure().describe('Score on the holdout.'),
      inferenceTime: figure().describe('Time of a prediction.'),
    })
    .exactOptional()
    .describe('Best so far.'),
  workers: int(0, 1000).exactOptional().describe('Pods that evaluate.'),
  eta: z.string().max(64).exactOptional().describe('Time that is left.'),
  progress: z
    .object({ percent: int(0, 100).exactOptional().describe('Share of the budget that is used.') })
    .exactOptional()
    .describe('How far it is.'),
  suspectColumns: list(columnName(), 32).exactOptional().describe('Columns that the leakage audit names.'),
  duplicateRows: z.int().min(0).exactOptional().describe('Judged rows that also teach, as the audit counts them.'),
  deployment: z
    .object({
      url: z.string().max(2048).exactOptional().describe('Address of predictions.'),
      champion: z.string().max(64).exactOptional().describe('Model that was active when the run ended.'),
      challenger: z.string().max(64).exactOptional().describe('Model that was tried when the run ended.'),
      weight: z.string().max(16).exactOptional().describe("The challenger's share then."),
    })
    .exactOptional()
    .describe('Promotion; who answers now is said by `GET /v1/models` at its address.'),
  promotion: z
    .object({
      role: z.enum(['None', 'Champion', 'Challenger']).describe("What the run's model became."),
      why: z.string().max(512).exactOptional().describe('Why it became that, where its score alone did not decide.'),
    })
    .exactOptional()
    .describe('Where spec.promotion asks for any.'),
  output: z
    .object({
      uri: z.string().max(2048).exactOptional().describe('Where models are.'),
      report: z.string().max(2048).exactOptional().describe('Where the report is.'),
      bytes: z.int().min(0).exactOptional().describe('Size.'),
    })
    .exactOptional()
    .describe('Result.'),
  usage: z
    .object({
      cpuHours: figure().describe('CPUs that coordinator and workers asked for, by the hours they ran.'),
      cost: figure().describe('Their price, where the installation has one.'),
      countedUntil: time().exactOptional().describe('Until when these figures are counted.'),
    })
    .exactOptional()
    .describe('Cost of all searches since creation.'),
});

export const evolutionRun = defineKind({
  kind: 'EvolutionRun',
  plural: 'evolutionruns',
  shortNames: ['er', 'evo'],
  description: 'Evolutionary AutoML: evolves pipelines on a data set and registers the best.',
  spec,
  status,
  printerColumns: [
    statusColumn,
    { name: 'Generation', type: 'integer', jsonPath: '.status.generation', description: 'Generation at work.' },
    { name: 'Best', type: 'string', jsonPath: '.status.best.score', description: 'Best score.' },
    { name: 'Evaluations', type: 'integer', jsonPath: '.status.evaluations.done', description: 'Evaluated in full.' },
    { name: 'Workers', type: 'integer', jsonPath: '.status.workers', description: 'Pods that evaluate.' },
    { name: 'ETA', type: 'string', jsonPath: '.status.eta', description: 'Time that is left.' },
    ageColumn,
  ],
});

export type EvolutionRun = ResourceOf<typeof evolutionRun>;
export type EvolutionRunSpec = z.output<typeof spec>;
export type EvolutionRunStatus = z.output<typeof status>;
