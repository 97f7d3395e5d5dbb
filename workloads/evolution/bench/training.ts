// The same trees by koffi and by Python, one thread, in turns.
import { median, row } from '@quintet/runtime/bench';
import { lightgbm } from '../src/learners/lightgbm/library.ts';
import { Peer } from './python.ts';
import type { Results } from './results.ts';

export async function trainingSpeed(quick: boolean, results: Results): Promise<void> {
  const [n, p, trees] = quick ? [20_000, 30, 30] : [100_000, 30, 100];
  const library = lightgbm();
  const data = Float32Array.from({ length: n * p }, (_, i) => (((Math.sin(i * 12.9898) * 43758.5453) % 1) + 1) % 1);
  const label = Float32Array.from({ length: n }, (_, i) =>
    data[i * p]! + data[i * p + 1]! * data[i * p + 2]! > 0.75 ? 1 : 0,
  );
  const parameters =
    'objective=binary num_leaves=31 learning_rate=0.1 num_threads=1 verbosity=-1 force_col_wise=true deterministic=true seed=1 feature_pre_filter=false max_bin=255 min_data_in_leaf=20';
  const once = (): number => {
    const started = performance.now();
    const dataset = library.datasetFromMatrix(data, n, p, parameters);
    library.datasetSetField(dataset, 'label', label);
    const booster = library.boosterCreate(dataset, parameters);
    for (let tree = 0; tree < trees; tree++) library.boosterUpdate(booster);
    library.boosterFree(booster);
    library.datasetFree(dataset);
    return (performance.now() - started) / 1000;
  };
  const turns: { ours: number; theirs: number }[] = [];
  const python = new Peer('lightgbm');
  try {
    for (let turn = 1; turn <= 3; turn++) {
      const ours = once();
      const theirs = (await python.ask('lightgbm', [n, p, trees])) as number;
      turns.push({ ours, theirs });
      results.say(`training, turn ${turn} of 3: ours ${ours.toFixed(2)} s, Python ${theirs.toFixed(2)} s`);
    }
  } finally {
    python.close();
  }
  results.add(
    row(
      {
        bench: 'evolution',
        case: 'training',
        size: `${n} × ${p}, ${trees} trees, 1 thread`,
        metric: 'time',
        unit: 's',
        better: 'lower',
        ours: median(turns.map(({ ours }) => ours)),
        peers: { 'Python LightGBM': median(turns.map(({ theirs }) => theirs)) },
      },
      { ratio: 1 / 1.1 },
    ),
  );
}
