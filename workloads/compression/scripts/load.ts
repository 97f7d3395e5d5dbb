// A client process for loads: many connections to POST /v1/compress, each answer checked. Prints what it saw as one line of JSON.
//   node scripts/load.ts '{"url":"http://127.0.0.1:8080","connections":32,"requests":10000,"repeat":1}'
// Raw sockets, as a full HTTP client would use more CPU than the server that it measures.
import { createHash } from 'node:crypto';
import { connect } from 'node:net';

export interface Load {
  readonly url: string;
  readonly connections: number;
  /** Requests per second over all connections, sent at their times whatever the answers do; left out, each waits for its answer only. */
  readonly rate?: number;
  /** It ends after so many requests, or so many seconds. */
  readonly requests?: number;
  readonly seconds?: number;
  /** Share of requests, 0 to 1, that ask for one of twenty texts; all others are new. */
  readonly repeat: number;
  /** Different seeds ask for different texts. */
  readonly seed?: number;
}

export interface Seen {
  readonly statuses: Record<string, number>;
  /** Answers that are not those of their text. */
  readonly wrong: number;
  /** 429 and 503 without `Retry-After`. */
  readonly unclear: number;
  /** Requests whose connection broke before the answer. */
  readonly lost: number;
  /** Due requests that were not sent, as the connection still waited for an answer. */
  readonly late: number;
  /** Most connections that were open at once. */
  readonly open: number;
  /** Milliseconds from when a request was due to its whole answer; 200 alone. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly slowest: number;
  readonly rate: number;
}

const load = JSON.parse(process.argv[2] ?? '{}') as Load;
const url = new URL(load.url);
const seed = load.seed ?? 0;
const ids = new Map<string, string>();
let serial = 0;
let random = seed * 2 + 1;

const statuses: Record<string, number> = {};
const latencies: number[] = [];
const counts = { wrong: 0, unclear: 0, lost: 0, late: 0, open: 0 };
let openNow = 0;
let started = 0;
let pending = 0;
const began = performance.now();
const endsAt = load.seconds === undefined ? Number.POSITIVE_INFINITY : began + load.seconds * 1000;
const most = load.requests ?? Number.POSITIVE_INFINITY;
let done: () => void = () => undefined;
const finished = new Promise<void>((resolve) => {
  done = resolve;
});
const over = (): boolean => started >= most || performance.now() >= endsAt;
const endWhenQuiet = (): void => {
  if (over() && pending === 0) done();
};

for (let i = 0; i < load.connections; i++) {
  // A thousand at a time: a listener's backlog is short.
  if (i % 500 === 499) await new Promise((resolve) => setTimeout(resolve, 50));
  open(i);
}
setInterval(endWhenQuiet, 100);
// Who does not answer within ten seconds of the end has lost the request.
if (load.seconds !== undefined)
  setTimeout(
    () => {
      counts.lost += pending;
      done();
    },
    load.seconds * 1000 + 10_000,
  );
await finished;
latencies.sort((a, b) => a - b);
const at = (share: number): number =>
  Math.round((latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0) * 100) / 100;
const seconds = (performance.now() - began) / 1000;
const seen: Seen = {
  statuses,
  ...counts,
  p50: at(0.5),
  p95: at(0.95),
  p99: at(0.99),
  slowest: at(1),
  rate: Math.round((statuses['200'] ?? 0) / seconds),
};
console.log(JSON.stringify(seen));
process.exit(0);

function open(index: number): void {
  const socket = connect(Number(url.port), url.hostname);
  socket.setNoDelay(true);
  let waits: { id: string; due: number } | undefined;
  let answer: Buffer[] = [];
  let received = 0;
  let expected = 0;
  const every = load.rate === undefined ? 0 : (load.connections / load.rate) * 1000;
  let due = performance.now() + Math.random() * every;

  const send = (): void => {
    if (over()) return endWhenQuiet();
    started++;
    pending++;
    const { id, bytes } = nextRequest();
    waits = { id, due: every === 0 ? performance.now() : due };
    socket.write(bytes);
  };
  const tick = (): void => {
    if (socket.destroyed || over()) return;
    if (waits) counts.late++;
    else send();
    due += every;
    setTimeout(tick, Math.max(0, due - performance.now()));
  };
  socket.on('connect', () => {
    counts.open = Math.max(counts.open, ++openNow);
    if (every === 0) send();
    else setTimeout(tick, Math.max(0, due - performance.now()));
  });
  socket.on('data', (bytes: Buffer) => {
    answer.push(bytes);
    received += bytes.length;
    if (expected === 0) expected = lengthOf(answer.length === 1 ? bytes : Buffer.concat(answer));
    if (expected === 0 || received < expected || !waits) return;
    judge(Buffer.concat(answer), waits);
    waits = undefined;
    answer = [];
    received = expected = 0;
    pending--;
    if (every === 0) send();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    openNow--;
    if (waits) {
      counts.lost++;
      pending--;
    }
    if (!over()) setTimeout(() => open(index), 100);
  });
}

/** Bytes of head and body; 0 while the head is not whole. */
function lengthOf(bytes: Buffer): number {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  const [, length = '0'] = /content-length: (\d+)/i.exec(bytes.toString('latin1', 0, head)) ?? [];
  return head + 4 + Number(length);
}

function judge(bytes: Buffer, { id, due }: { id: string; due: number }): void {
  const status = bytes.toString('latin1', 9, 12);
  statuses[status] = (statuses[status] ?? 0) + 1;
  if (status === '200') {
    latencies.push(performance.now() - due);
    // The id of the original is a digest of the text that was sent.
    if (!bytes.includes(`"id":"${id}"`)) counts.wrong++;
  } else if ((status === '429' || status === '503') && !/\r\nretry-after: \d/i.test(bytes.toString('latin1', 0, 2000)))
    counts.unclear++;
}

function nextRequest(): { id: string; bytes: Buffer } {
  // A linear congruential step: the same seed sends the same requests.
  random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
  const text = textOf(random / 2_147_483_648 < load.repeat ? serial++ % 20 : 100 + serial++);
  const body = JSON.stringify({ text, ratio: 8 });
  const head = `POST /v1/compress HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  let id = ids.get(text);
  if (id === undefined) {
    id = createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 32);
    if (ids.size < 20) ids.set(text, id);
  }
  return { id, bytes: Buffer.from(head + body) };
}

/** About a thousand tokens. */
function textOf(number: number): string {
  let text = `Inventory ${seed}-${number}.\n`;
  for (let i = 0; i < 56; i++)
    text += `Cabinet ${i * 7 + (number % 89)} on floor ${i % 9} holds the files of case ${i * 31}, signed by Marta ${i}.${i % 5 === 4 ? '\n\n' : ' '}`;
  return text;
}
