// kubectl as suites and the quickstart use it: one kubeconfig, JSON in and out, errors with what the server said.
import { execFile } from 'node:child_process';

export interface KubectlOptions {
  input?: string;
  timeoutMs?: number;
}

export class Kubectl {
  readonly #program: string;
  readonly #kubeconfig: string;

  constructor({ kubectl, kubeconfig }: { kubectl: string; kubeconfig: string }) {
    this.#program = kubectl;
    this.#kubeconfig = kubeconfig;
  }

  /** @throws Error with kubectl's own message. */
  run(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    return this.bytes(args, options).then((bytes) => bytes.toString('utf8'));
  }

  bytes(args: readonly string[], { input, timeoutMs = 60_000 }: KubectlOptions = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.#program,
        ['--kubeconfig', this.#kubeconfig, ...args],
        { encoding: 'buffer', timeout: timeoutMs, maxBuffer: 256 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (error) reject(new Error(`kubectl ${args.join(' ')}: ${stderr.toString('utf8').trim() || error.message}`));
          else resolve(stdout);
        },
      );
      child.stdin?.end(input ?? '');
    });
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as T;
  }

  /** The object, or nothing when it is not there. */
  async find<T>(args: readonly string[]): Promise<T | undefined> {
    const text = await this.run(['get', ...args, '--ignore-not-found', '-o', 'json']);
    return text.trim() === '' ? undefined : (JSON.parse(text) as T);
  }

  apply(manifest: string): Promise<string> {
    return this.run(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input: manifest });
  }
}

/** Asks until the answer is there. @throws Error that says what was awaited, with the last answer's description. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  {
    timeoutMs = 120_000,
    everyMs = 250,
    describe,
  }: { timeoutMs?: number; everyMs?: number; describe?: () => Promise<string> } = {},
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: Error | undefined;
  while (Date.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error instanceof Error ? error : new Error(String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  const detail = describe ? await describe().catch(String) : '';
  throw new Error(
    `not within ${timeoutMs / 1000} s: ${what}${last ? ` (${last.message})` : ''}${detail ? `\n${detail}` : ''}`,
  );
}
