// Clients that know what they must be answered: the likeliest tokens of a prompt are always the same, so a token of anyone else's would show.
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { certainOf } from './certain.ts';
import { type Tenant, tenants } from './replicas.ts';

export interface Question {
  tenant: Tenant;
  prompt: string;
  maxTokens: number;
  stream?: boolean;
  /** Answered from the cache where it holds it. */
  cached?: boolean;
  user?: string;
}

export interface Reply {
  /** 0: the connection broke. */
  status: number;
  retryAfter: boolean;
  text: string;
  tokens: { prompt: number; completion: number };
  /** A stream that ended before its end, or with an error. */
  broken: boolean;
  /** Why there is no answer at all. */
  lost?: string;
  milliseconds: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4096 });

export async function ask(url: string, question: Question): Promise<Reply> {
  const began = performance.now();
  const { tenant, prompt, maxTokens, stream = false, cached = false, user } = question;
  const body = JSON.stringify({ prompt, max_tokens: maxTokens, temperature: 0, stream, ...(user && { user }) });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: `Bearer ${tenants[tenant]}`,
    ...(!cached && { 'cache-control': 'no-store' }),
  };
  const none = { status: 0, retryAfter: false, text: '', tokens: { prompt: 0, completion: 0 }, broken: true };
  return new Promise((resolve) => {
    const done = (reply: Omit<Reply, 'milliseconds'>) => resolve({ ...reply, milliseconds: performance.now() - began });
    const lost = (error?: NodeJS.ErrnoException) => {
      // A server may close a connection that is not in use just when the next request is sent on it; all others are its fault.
      const idle = sent.reusedSocket ? ', connection used before' : '';
      done({ ...none, lost: `${error?.code ?? error?.message ?? 'ended in the middle'}${idle}` });
    };
    const sent = request(`${url}/v1/completions`, { method: 'POST', agent, headers, timeout: 60_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('error', lost).on('end', () => {
        const status = response.statusCode ?? 0;
        const known = { ...none, status, retryAfter: response.headers['retry-after'] !== undefined };
        if (!response.complete) return lost();
        done(status === 200 ? { ...known, ...(stream ? streamed(text) : whole(text)) } : known);
      });
    });
    sent.on('error', lost).on('timeout', () => sent.destroy(new Error('no answer in a minute')));
    sent.end(body);
  });
}

interface Answer {
  choices: { text: string }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

function whole(body: string): Pick<Reply, 'text' | 'tokens' | 'broken'> {
  const { choices, usage } = JSON.parse(body) as Answer;
  const tokens = { prompt: usage.prompt_tokens, completion: usage.completion_tokens };
  return { text: choices[0]?.text ?? '', tokens, broken: false };
}

function streamed(body: string): Pick<Reply, 'text' | 'tokens' | 'broken'> {
  const events = body
    .trim()
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''));
  const parts = events
    .filter((event) => event.startsWith('{'))
    .map((event) => JSON.parse(event) as Partial<Answer> & { error?: object });
  const text = parts.map(({ choices }) => choices?.[0]?.text ?? '').join('');
  const broken = events.at(-1) !== '[DONE]' || parts.some(({ error }) => error !== undefined);
  return { text, tokens: { prompt: 0, completion: 0 }, broken };
}

/** What a load has seen; everything but `answered` and `shed` is an error. */
export interface Seen {
  answered: number;
  /** Turned away with when to come again. */
  shed: number;
  errors: Record<string, number>;
  /** Answers that are not the prompt's. */
  wrong: string[];
  milliseconds: number[];
}

export const nothing = (): Seen => ({ answered: 0, shed: 0, errors: {}, wrong: [], milliseconds: [] });

/** Prompts of the tenants, many of which begin alike, with what each must be answered: what an idle engine does. */
export async function learn(url: string, model: string): Promise<Map<string, { question: Question; text: string }>> {
  const candidates = (['news', 'sport'] as const).flatMap((tenant) =>
    Array.from({ length: 30 }, (_, i): Question => {
      const beginning = i % 2 === 0 ? 'A beginning that both of the tenants share, word by word. ' : '';
      return { tenant, prompt: `${beginning}${tenant} ${i}`, maxTokens: 6 + (i % 12) };
    }),
  );
  const known = new Map<string, { question: Question; text: string }>();
  for (const question of await certainOf(model, candidates)) {
    const { status, text } = await ask(url, question);
    if (status !== 200) throw new Error(`an idle engine answered ${status}`);
    known.set(question.prompt, { question, text });
  }
  if (known.size < 12) throw new Error(`only ${known.size} of ${candidates.length} prompts have one answer`);
  return known;
}

export type Known = Awaited<ReturnType<typeof learn>>;

export function note(seen: Seen, { question, text }: { question: Question; text: string }, reply: Reply): void {
  if (reply.status === 200 && !reply.broken) {
    seen.answered++;
    seen.milliseconds.push(reply.milliseconds);
    if (reply.text !== text && seen.wrong.length < 5) seen.wrong.push(`${question.prompt}: ${reply.text} not ${text}`);
  } else if ([429, 503].includes(reply.status) && reply.retryAfter) seen.shed++;
  else {
    const name = reply.status === 200 ? 'broken stream' : String(reply.status || `connection lost (${reply.lost})`);
    seen.errors[name] = (seen.errors[name] ?? 0) + 1;
  }
}

export interface Load {
  url: string;
  known: Known;
  seconds: number;
  /** So many at a time; with `rate`, as many as that takes. */
  clients?: number;
  /** Requests a second, whether they are answered or not. */
  rate?: number;
  /** Share of requests that may be answered from the cache. */
  cached?: number;
}

export async function load({ url, known, seconds, clients = 8, rate, cached = 0 }: Load): Promise<Seen> {
  const seen = nothing();
  const all = [...known.values()];
  let at = 0;
  const one = async () => {
    const each = all[at % all.length] as (typeof all)[number];
    const stream = at % 3 === 0;
    const question = { ...each.question, stream, cached: (at * 0.618) % 1 < cached };
    at++;
    note(seen, each, await ask(url, question));
  };
  const end = performance.now() + seconds * 1000;
  if (rate === undefined) {
    const client = async () => {
      while (performance.now() < end) await one();
    };
    await Promise.all(Array.from({ length: clients }, client));
  } else {
    const began = performance.now();
    const open: Promise<void>[] = [];
    while (performance.now() < end) {
      while (open.length < ((performance.now() - began) / 1000) * rate) open.push(one());
      await pause(5);
    }
    await Promise.all(open);
  }
  return seen;
}

/** Connections that ask for long streams and read none, and some that never finish their request. Returns how to end them. */
export async function slowClients(url: string, count: number): Promise<() => void> {
  const { port, hostname, host } = new URL(url);
  const body = JSON.stringify({ prompt: 'A long text', max_tokens: 120, stream: true });
  const head = `POST /v1/completions HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${tenants.sport}\r\ncontent-type: application/json\r\n`;
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).pause();
    socket.write(i % 4 === 3 ? head : `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    sockets.push(socket);
  }
  await pause(500);
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}
