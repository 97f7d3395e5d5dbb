// Scores on rows that nobody saw: ours and the peers on the same splits in turn, each within the same seconds.
import { readFileSync } from 'node:fs';
import { scoreOf } from '../src/metrics/metrics.ts';
import { evolve } from '../src/run/local.ts';
import { type Data, dataSets } from './data.ts';
import { Peer } from './python.ts';
import { type Answer, type Competition, type Level, rankRow, setRow, timeRows } from './ranks.ts';
import type { Results } from './results.ts';

export interface QualityBench extends Competition {
  readonly folder: string;
  readonly rows: number;
  readonly only: readonly string[] | undefined;
}

export async function quality(bench: QualityBench, results: Results): Promise<void> {
  const { folder, rows, only: names, splits, seconds } = bench;
  const all = await dataSets({ folder, splits, rows, names });
  const peers = bench.peers.map((name) => new Peer(name));
  const played: Record<string, Answer>[] = [];
  const levels: Level[] = [];
  try {
    for (const sets of Map.groupBy(all, ({ name }) => name).values()) {
      const here: Record<string, Answer>[] = [];
      for (const data of sets) {
        const say = (who: string, { score, seconds: spent, why }: Answer): void => {
          const told = score === undefined ? `no answer, ${why}` : score.toPrecision(5);
          results.say(`${data.name}, split ${data.split + 1} of ${splits}, ${who}: ${told} in ${spent.toFixed(1)} s`);
        };
        const answers: Record<string, Answer> = { ours: await ourAnswer(data, seconds) };
        say('ours', answers['ours']!);
        for (const peer of peers) {
          answers[peer.name] = await peerAnswer(peer, data, seconds);
          say(peer.name, answers[peer.name]!);
        }
        here.push(answers);
        played.push(answers);
        results.add(setRow(bench, data, here));
        const { ours, flaml } = answers;
        if (data !== sets[0] || ours?.score === undefined || flaml?.score === undefined) continue;
        const level = await secondsTo(flaml.score, data, ours.score, seconds, say);
        levels.push({ ours: level, found: flaml.found ?? flaml.seconds });
      }
      results.add(rankRow(bench, played), ...(levels.length > 0 ? timeRows(bench, levels) : []));
    }
  } finally {
    for (const peer of peers) peer.close();
  }
}

/** Twice its seconds, ten more at least, are the most that a peer gets: what it has then is no answer. */
async function peerAnswer(peer: Peer, data: Data, seconds: number): Promise<Answer> {
  const started = performance.now();
  try {
    const { train, test, task, split } = data;
    const most = Math.max(2 * seconds, seconds + 10);
    return (await peer.ask('run', [peer.name, train, test, task, seconds, split], most)) as Answer;
  } catch (error) {
    return { seconds: (performance.now() - started) / 1000, why: (error as Error).message };
  }
}

async function ourAnswer(data: Data, seconds: number): Promise<Answer> {
  const started = performance.now();
  try {
    return await ourScore(data, seconds);
  } catch (error) {
    return { seconds: (performance.now() - started) / 1000, why: (error as Error).message };
  }
}

/** Seconds of the smallest budget, of a tenth, a quarter, a half and the whole, whose model is level with FLAML's final one; infinite when none is. */
async function secondsTo(
  goal: number,
  data: Data,
  whole: number,
  seconds: number,
  say: (who: string, answer: Answer) => void,
): Promise<number> {
  let least = whole >= goal - 1e-4 ? seconds : Number.POSITIVE_INFINITY;
  for (const budget of [seconds / 2, seconds / 4, seconds / 10].map((each) => Math.max(1, Math.round(each)))) {
    if (least === Number.POSITIVE_INFINITY) break;
    const answer = await ourAnswer(data, budget);
    say(`ours with ${budget} s`, answer);
    if ((answer.score ?? Number.NEGATIVE_INFINITY) < goal - 1e-4) break;
    least = budget;
  }
  return least;
}

async function ourScore(data: Data, seconds: number): Promise<Answer> {
  const metric = data.task === 'Binary' ? 'RocAUC' : data.task === 'Multiclass' ? 'LogLoss' : 'R2';
  const result = await evolve({
    file: data.train,
    target: 'target',
    task: data.task,
    workers: 2,
    // Peers choose how to judge for themselves; nobody holds rows back from learning.
    spec: {
      budget: { time: `${seconds}s` },
      objective: { metric },
      validation: { holdout: '0%' },
      search: {
        population: 24,
        seed: data.split,
        learners: [
          'GradientBoosting',
          'RandomForest',
          'ExtraTrees',
          'Linear',
          'NearestNeighbors',
          ...(data.task === 'Regression' ? [] : ['NaiveBayes']),
          'NeuralNetwork',
        ],
      },
    },
  });
  const [head = '', ...lines] = readFileSync(data.test, 'utf8').trim().split('\n');
  const names = head.split(',');
  const rows = lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i]!, cell])));
  const { stored } = result.model;
  const y = Float64Array.from(rows, (each) =>
    data.task === 'Regression' ? Number(each['target']) : stored.classes.indexOf(each['target']!),
  );
  // AUC is the same whichever class is called positive.
  const score = scoreOf(
    metric,
    { task: data.task, y, weights: undefined, outputs: stored.outputs },
    (await result.model.predict(rows)).values,
  );
  result.model.close();
  return { score, seconds: result.seconds };
}
