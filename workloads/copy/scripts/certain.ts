// Which prompts a model continues in one way only: where two tokens are as likely but for rounding, and that depends on what else is in the batch, an answer
// may change without anybody's fault.
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import type { Question } from './clients.ts';

/** Least difference of the logarithms of the two likeliest tokens' probabilities; flips were seen at 0.0006. */
const leastLead = 0.005;

/** Of the questions those whose likeliest answer has no doubtful token, with the engine's default repetition penalty. */
export async function certainOf(path: string, questions: readonly Question[]): Promise<Question[]> {
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ sequences: 1, contextSize: 512, threads: 1 });
  const sequence = context.getSequence();
  const certain: Question[] = [];
  for (const question of questions) {
    await sequence.clearHistory();
    const tokens = model.tokenize(question.prompt);
    const repeatPenalty = { penalty: 1.1, punishTokens: () => tokens.slice(-64) };
    let made = 0;
    let least = Number.POSITIVE_INFINITY;
    const answer = sequence.evaluateWithMetadata(
      [...tokens],
      { probabilities: true },
      { temperature: 0, repeatPenalty },
    );
    for await (const { token, probabilities } of answer) {
      const [first = 0, second = 0] = [...probabilities.values()].toSorted((a, b) => b - a);
      least = Math.min(least, Math.log(first / second));
      tokens.push(token);
      if (++made >= question.maxTokens || least < leastLead) break;
    }
    if (least >= leastLead) certain.push(question);
  }
  await llama.dispose();
  return certain;
}
