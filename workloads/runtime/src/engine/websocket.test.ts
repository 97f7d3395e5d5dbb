import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../testing/index.ts';

const program = new URL('./fixtures/stream.ts', import.meta.url).pathname;
const token = 'news-token-0123456789';

let directory: string;
let child: ChildProcess;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-websocket-'));
  await writeFile(join(directory, 'news'), token);
});
afterEach(async () => {
  child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

test('a WebSocket needs a token, outlasts the time limit of handlers, and counts as one request until it closes', async () => {
  const env = {
    ...process.env,
    QUINTET_CONFIG: '/nonexistent',
    QUINTET_CONFIG__AUTH: JSON.stringify({ directory }),
    QUINTET_CONFIG__SERVER: JSON.stringify({ host: '127.0.0.1', port: 0, handlerTimeout: '100ms' }),
  };
  child = spawn(process.execPath, ['--conditions=source', program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const url = await eventually(() => {
    const found = /listening on (\S+)/.exec(output)?.[1];
    if (found === undefined) throw new Error(`it does not listen: ${output}`);
    return found;
  });
  const connectWith = (bearer: string) => {
    const options = { headers: { authorization: `Bearer ${bearer}` } } as unknown as string[];
    return new WebSocket(`${url.replace('http', 'ws')}/v1/stream`, options);
  };
  const refused = connectWith('wrong-token-0123456789');
  await new Promise((resolve) => refused.addEventListener('error', resolve));
  const page = async () => (await fetch(`${url}/metrics`)).text();
  await eventually(async () => expect(await page()).toContain('quintet_requests_in_flight 0'));

  const open = connectWith(token);
  const received: unknown[] = [];
  open.addEventListener('message', ({ data }) => received.push(data));
  await new Promise((resolve) => open.addEventListener('open', resolve));
  open.send('hi');
  await eventually(() => expect(received).toEqual(['news: hi', 'still open']));
  expect(await page()).toContain('quintet_requests_in_flight 1');
  open.close();
  await eventually(async () => expect(await page()).toContain('quintet_requests_in_flight 0'));
  expect(await page()).toContain('quintet_requests_total{route="/v1/stream",method="GET",status="101"} 1');
}, 60_000);
