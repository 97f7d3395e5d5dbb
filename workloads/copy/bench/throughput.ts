// Tokens a second of whole answers over HTTP, beside the same answers made by node-llama-cpp without anything around it.
import { median, type Row, row } from '@quintet/runtime/bench';
import { getLlama, type LlamaContextSequence, LlamaLogLevel, type LlamaModel } from 'node-llama-cpp';
import { type BenchModel, millisecondsOf, post, type Served, serving, textOf } from './engine.ts';

const sampling = { temperature: 0.7, topK: 50, topP: 0.9 };
const penalty = 1.1;
const most = 16;
const contextTokens = 512;

export async function tokensPerSecond(model: BenchModel, quick: boolean): Promise<Row[]> {
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: model.threads,
    logLevel: LlamaLogLevel.error,
  });
  const loaded = await llama.loadModel({ modelPath: model.path });
  const context = await loaded.createContext({
    sequences: most,
    contextSize: contextTokens,
    batchSize: 512,
    threads: model.threads,
  });
  const sequences = Array.from({ length: most }, () => context.getSequence());
  const engine = await serving(model, most, contextTokens);
  try {
    const rows: Row[] = [];
    const length = quick ? 32 : 64;
    for (const concurrent of [1, 8, 16]) {
      const rounds = quick ? 2 : 5;
      const ours: Spent[] = [];
      const direct: Spent[] = [];
      for (let round = -1; round < rounds; round++) {
        const prompts = Array.from({ length: concurrent }, (_, i) =>
          `${concurrent}.${round}.${i} `.padEnd(64, 'copy '),
        );
        const repeats = concurrent === 1 ? 4 : 1;
        const one = await timed(engine.cpu, repeats, (at) =>
          Promise.all(prompts.map((prompt) => asked(engine, `${at}${prompt}`, length))),
        );
        const own = async () => millisecondsOf(process.cpuUsage());
        const other = await timed(own, repeats, (at) =>
          Promise.all(
            prompts.map((prompt, i) => made(loaded, sequences[i] as LlamaContextSequence, `${at}${prompt}`, length)),
          ),
        );
        // The first round warms both.
        if (round < 0) continue;
        ours.push(one);
        direct.push(other);
      }
      rows.push(
        row(
          {
            bench: 'copy',
            case: model.title,
            size: `${concurrent} at a time, 65 + ${length} tokens, ${model.threads} threads`,
            metric: 'answers over HTTP',
            unit: 'tokens/s',
            better: 'higher',
            ours: median(ours.map(({ rate }) => rate)),
            peers: { 'node-llama-cpp': median(direct.map(({ rate }) => rate)) },
          },
          { ratio: 0.95 },
        ),
        // The clock tells of whatever else the machine does; CPU time does not.
        row({
          bench: 'copy',
          case: model.title,
          size: `${concurrent} at a time, 65 + ${length} tokens, ${model.threads} threads`,
          metric: 'CPU a token',
          unit: 'ms',
          better: 'lower',
          ours: median(ours.map(({ cpu }) => cpu)),
          peers: { 'node-llama-cpp': median(direct.map(({ cpu }) => cpu)) },
        }),
      );
    }
    return rows;
  } finally {
    await engine.stop();
    await llama.dispose();
  }
}

interface Spent {
  /** Tokens a second. */
  rate: number;
  /** Milliseconds of CPU a token. */
  cpu: number;
}

async function timed(
  cpu: () => Promise<number>,
  repeats: number,
  work: (at: number) => Promise<number[]>,
): Promise<Spent> {
  const before = await cpu();
  const began = performance.now();
  let tokens = 0;
  for (let at = 0; at < repeats; at++) for (const count of await work(at)) tokens += count;
  const took = performance.now() - began;
  return { rate: (tokens * 1000) / took, cpu: ((await cpu()) - before) / tokens };
}

async function asked(engine: Served, prompt: string, length: number): Promise<number> {
  const body = { prompt, max_tokens: length, seed: 7 };
  const answer = JSON.parse(await textOf(await post(engine, '/v1/completions', body, true)));
  return (answer as { usage: { completion_tokens: number } }).usage.completion_tokens;
}

async function made(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  prompt: string,
  length: number,
): Promise<number> {
  await sequence.clearHistory();
  const tokens = model.tokenize(prompt);
  const answer: typeof tokens = [];
  const punishTokens = () => [...tokens, ...answer].slice(-64);
  for await (const token of sequence.evaluate(tokens, {
    ...sampling,
    seed: 7,
    repeatPenalty: { penalty, punishTokens },
  })) {
    answer.push(token);
    if (answer.length >= length) break;
  }
  model.detokenize(answer);
  return answer.length;
}
