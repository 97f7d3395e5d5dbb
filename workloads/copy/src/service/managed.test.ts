// Runtime Managed: the gateway waits for its server, and then is one more OpenAI-compatible server in front of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { freePort } from '@quintet/runtime/testing';
import { afterEach, expect, test } from 'vitest';
import { copyEngine } from './engine.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** Lists one model, and writes one text. */
function standIn(): Server {
  return createServer((request, response) => {
    if (request.url === '/v1/models') {
      response.setHeader('content-type', 'application/json').end('{"object":"list","data":[{"id":"mistral"}]}');
      return;
    }
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      const { model } = JSON.parse(body) as { model: string };
      response.setHeader('content-type', 'text/event-stream');
      const choice = { index: 0, text: `${model} wrote this`, finish_reason: 'stop' };
      response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
    });
  });
}

test('a gateway is ready once its managed server is, and asks it for the model that it lists', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-managed-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const configFile = join(folder, 'config.json');
  const config = {
    runtime: 'Managed',
    openai: { endpoints: [{ name: 'server', url: `http://127.0.0.1:${port}/v1` }] },
    server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
    logging: { level: 'silent' },
  };
  writeFileSync(configFile, JSON.stringify(config));
  const engine = await startEngine(copyEngine({ retryAfter: 100 }), { configFile, env: {} });
  closing.push(() => engine.drain());
  const body = JSON.stringify({ prompt: 'Say' });
  const ask = () =>
    fetch(`${engine.url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  expect((await ask()).status).toBe(503);
  await expect
    .poll(async () => (await fetch(`${engine.url}/readyz`)).text())
    .toContain('the managed server does not serve yet');

  const server = standIn();
  closing.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await engine.started;
  expect((await fetch(`${engine.url}/readyz`)).status).toBe(200);
  expect(await (await ask()).json()).toMatchObject({ model: 'mistral', choices: [{ text: 'mistral wrote this' }] });
});
