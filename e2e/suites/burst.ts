// Bursts of requests from a pod of the cluster, each of which is counted: answered, or why not.
import { eventually, type Kubectl } from '../kubectl.ts';
import { request } from './served.ts';

interface Answers {
  ok: number;
  /** Answered, after the connection broke and it was sent again. */
  again: number;
  failed: string[];
  began: number;
  /** When the first was answered. */
  first: number;
  slowestMs: number;
}

export interface BurstOptions {
  /** Requests of a burst. */
  each: number;
  /** Seconds before each burst. */
  gaps?: number[];
  /** How often one is sent whose connection broke; an answer, whatever it says, is one. */
  tries?: number;
}

/** Sends bursts of compressions; ends with one line. */
const script = (url: string, { each, gaps = [0], tries = 1 }: BurstOptions) => `
  const answers = { ok: 0, again: 0, failed: [], began: 0, first: 0, slowestMs: 0 };
  const once = async (serial) => {
    const answer = await fetch('${url}/v1/compress', {
      method: 'POST', headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(120000),
      body: JSON.stringify(${JSON.stringify(request)}).replaceAll('SERIAL', serial),
    });
    return [answer.status, await answer.text()];
  };
  const one = async (serial) => {
    const start = Date.now();
    for (let sent = 1; ; sent++) {
      try {
        const [status, text] = await once(serial);
        if (status === 200) {
          answers.ok++;
          answers.first ||= Date.now();
          if (sent > 1) answers.again++;
        } else answers.failed.push(status + ' ' + text.slice(0, 200));
      } catch (error) {
        if (sent < ${tries}) continue;
        answers.failed.push(String(error.cause ?? error));
      }
      break;
    }
    answers.slowestMs = Math.max(answers.slowestMs, Date.now() - start);
  };
  for (const seconds of ${JSON.stringify(gaps)}) {
    await new Promise((next) => setTimeout(next, seconds * 1000));
    answers.began ||= Date.now();
    await Promise.all(Array.from({ length: ${each} }, (_, i) => one(seconds + '-' + i)));
  }
  console.log(JSON.stringify(answers));`;

/** Clients of one service, in its namespace. */
export class Bursts {
  readonly #kubectl: Kubectl;
  readonly #namespace: string;
  readonly #url: string;
  readonly #image: string;

  /** @param image One that has Node: an engine's own. */
  constructor(kubectl: Kubectl, namespace: string, { url, image }: { url: string; image: string }) {
    this.#kubectl = kubectl;
    this.#namespace = namespace;
    this.#url = url;
    this.#image = image;
  }

  async start(client: string, options: BurstOptions): Promise<void> {
    const container = {
      name: 'client',
      image: this.#image,
      command: ['node', '-e', script(this.#url, options)],
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    };
    const spec = {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [container],
    };
    const metadata = { name: client, namespace: this.#namespace };
    await this.#kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }));
  }

  async answers(client: string): Promise<Answers> {
    const line = await eventually(
      `${client} has all answers`,
      async () => (await this.#kubectl.run(['logs', client, '-n', this.#namespace])).trim() || undefined,
      { timeoutMs: 240_000 },
    );
    return JSON.parse(line) as Answers;
  }
}
