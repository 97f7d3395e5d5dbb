// What the suite of CompressionService asks of a service while its pods come and go, as scripts for pods inside the cluster.

/** What a client saw until it was told to stop by SIGUSR2. */
export interface Seen {
  requests: number;
  /** Accepted ones, all of which ended well when there is no fault. */
  jobs: number;
  /** Texts that came through streams whole. */
  streams: number;
  /** Times that a stream was closed with 1001 and went on with another replica where the last part ended. */
  resumed: number;
  /** Times that the original of before was read. */
  originals: number;
  /** What was lost, wrong or refused, in words. */
  faults: string[];
}

const common = (url: string) => `
  const url = ${JSON.stringify(url)};
  const pause = (ms) => new Promise((next) => setTimeout(next, ms));
  const textOf = (name, lines) => Array.from({ length: lines }, (_, i) =>
    'Cabinet ' + i + ' of ' + name + ' holds the files of case ' + i * 31 + (i % 5 === 4 ? '.\\n\\n' : '. ')).join('');
  const ask = async (path, body) => {
    const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(url + path, { ...init, signal: AbortSignal.timeout(20000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(path + ' ' + answer.status + ' ' + text.slice(0, 200));
    return JSON.parse(text);
  };
  // What needs Redis is refused while that is slow or away: clients ask again, as Retry-After says.
  const askAgain = async (path, body) => {
    for (let i = 0; ; i++) {
      try { return await ask(path, body); } catch (error) { if (i === 60 || !/ 503 /.test(error.message)) throw error; }
      await pause(1000);
    }
  };
  const isOf = ({ spans, rate }, text) => rate?.met && spans?.at(-1)?.end === text.length;
  const ended = async (id) => {
    for (;;) {
      const job = await askAgain('/v1/jobs/' + id);
      if (job.status !== 'Queued' && job.status !== 'Running') return job;
      await pause(200);
    }
  };`;

/** Requests, jobs and streams at once, and an original of before that is read again and again. */
export const everything = (url: string, original: { id: string; text: string }): string => `${common(url)}
  let stopping = false;
  process.on('SIGUSR2', () => { stopping = true; });
  const seen = { requests: 0, jobs: 0, streams: 0, resumed: 0, originals: 0, faults: [] };
  const fault = (what) => { if (seen.faults.length < 20) seen.faults.push(what); };
  const repeat = async (name, ms, work) => {
    for (let i = 0; !stopping; i++) {
      try { await work(name + '-' + i); } catch (error) { fault(name + ': ' + (error.cause ?? error)); }
      await pause(ms);
    }
  };
  const request = async (name) => {
    const text = textOf(name, 40);
    if (!isOf(await ask('/v1/compress', { text, ratio: 4 }), text)) throw new Error('a wrong answer');
    seen.requests++;
  };
  const accepted = [];
  const job = async (name) => {
    const text = textOf(name, 600);
    accepted.push([(await askAgain('/v1/jobs', { text, ratio: 8, priority: 'Low' })).id, text]);
  };
  const original = async () => {
    const { text } = await askAgain('/v1/originals/${original.id}');
    if (text !== ${JSON.stringify(original.text)}) throw new Error('another text');
    seen.originals++;
  };
  // Sends the text from \`from\` on, slower than it is worked on, until it has to stop: whoever ends a pod meets it.
  // Resolves with the code of the close, how far the text was sent, and where the last part ended.
  const connection = (text, from) => new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('http', 'ws') + '/v1/stream');
    let at = from, sent = from;
    socket.addEventListener('error', () => reject(new Error('a stream broke at ' + at)));
    socket.addEventListener('close', ({ code }) => resolve({ code, sent, at }));
    socket.addEventListener('message', ({ data }) => {
      const { type, start, end } = JSON.parse(data);
      if (type !== 'part') return;
      if (from + start !== at) reject(new Error('a stream left ' + at + ' out'));
      at = from + end;
    });
    socket.addEventListener('open', async () => {
      while (sent < text.length && !stopping && socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ type: 'chunk', text: text.slice(sent, sent += 4000) }));
        await pause(100);
      }
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'end' }));
    });
  });
  const stream = async (name) => {
    const text = textOf(name, 40000);
    for (let at = 0, code = 1001, sent; code !== 1000;) {
      ({ code, sent, at } = await connection(text, at));
      if (code === 1001) seen.resumed++;
      else if (code !== 1000 || at !== Math.min(sent, text.length)) throw new Error('a stream ended with ' + code + ' at ' + at);
    }
    seen.streams++;
  };
  setInterval(() => console.log(JSON.stringify(seen)), 500);
  await Promise.all([
    repeat('a', 20, request), repeat('b', 20, request), repeat('c', 20, request),
    repeat('job', 200, job), repeat('original', 200, original), repeat('stream', 0, stream), repeat('other stream', 0, stream),
  ]);
  for (const [id, text] of accepted) {
    const { status, result, error } = await ended(id);
    if (status === 'Succeeded' && isOf(result, text)) seen.jobs++;
    else fault('a job ended ' + status + ' ' + JSON.stringify(error));
  }
  console.log(JSON.stringify(seen));
  process.exit(0);`;

/** As `askAgain`, through the death of a pod that had the connection. */
const askOthers = `
  const askOthers = async (path, body) => {
    for (;;) {
      try { return await askAgain(path, body); } catch (error) { if (error.message !== 'fetch failed') throw error; }
      await pause(100);
    }
  };`;

/** Accepted jobs, each of a good part of a second on a core of its own; of other texts under another name. */
export const submitJobs = (url: string, name: string, count: number): string => `${common(url)}${askOthers}
  const ids = [];
  for (let i = 0; i < ${count}; i++) ids.push((await askOthers('/v1/jobs', { text: textOf(${JSON.stringify(name)} + i, 4000), ratio: 8 })).id);
  console.log(JSON.stringify(ids));`;

/** How jobs stand once all have ended. */
export const statusOfJobs = (url: string, ids: readonly string[]): string => `${common(url)}${askOthers}
  const all = [];
  for (const id of ${JSON.stringify(ids)}) {
    let status;
    do {
      if (status) await pause(200);
      ({ status } = await askOthers('/v1/jobs/' + id));
    } while (status === 'Queued' || status === 'Running');
    all.push(status);
  }
  console.log(JSON.stringify(all));`;
