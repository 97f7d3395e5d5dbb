// A whole activator with clients and pods that are servers on this machine.
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Activator } from './activator.ts';
import { activatorPage } from './page.ts';

const service = 'team/notes';
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Handler = (incoming: IncomingMessage, response: ServerResponse) => unknown;
const echo: Handler = async (incoming, response) => {
  let body = '';
  for await (const chunk of incoming) body += String(chunk);
  const { method, url, headers } = incoming;
  response.setHeader('set-cookie', ['a=1', 'b=2']);
  response.end(JSON.stringify({ method, url, headers, body }));
};

async function pod(handler: Handler = echo): Promise<{ server: Server; port: number }> {
  const server = createServer((incoming, response) => void handler(incoming, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function activator(options: Partial<ConstructorParameters<typeof Activator>[0]> = {}) {
  const port = await freePort();
  const room = { requests: 1_000, bytes: 64 * 1024 * 1024 };
  const one = new Activator({ room, holdMs: 30_000, perBackend: 100, host: '127.0.0.1', ...options });
  closing.push(() => one.close());
  const stand = (...pods: { port: number; isReady?: boolean }[]) => {
    const backends = pods.map((each) => ({ host: '127.0.0.1', isReady: true, ...each }));
    return one.follow(new Map([[port, { service, port, backends }]]));
  };
  await stand();
  return { one, port, stand, url: `http://127.0.0.1:${port}` };
}

const waits = async (one: Activator, count: number) => {
  while ((one.queues()[service]?.waiting ?? 0) < count) await new Promise((next) => setTimeout(next, 5));
};

describe('an activator', () => {
  it('holds requests with their bodies and passes them on whole when a pod comes', async () => {
    const { one, stand, url } = await activator();
    const body = 'x'.repeat(1_000_000);
    const answers = Array.from({ length: 50 }, (_, i) => fetch(`${url}/v1/compress?i=${i}`, { method: 'POST', body }));
    await waits(one, 50);
    expect(one.queues()[service]).toMatchObject({ waiting: 50, inFlight: 0, total: 50 });
    await stand(await pod());
    const texts = await Promise.all(answers.map(async (answer) => (await answer).json()));
    for (const [i, text] of texts.entries()) {
      expect(text).toMatchObject({ method: 'POST', url: `/v1/compress?i=${i}` });
      expect((text as { body: string }).body).toHaveLength(body.length);
    }
    const [{ headers }] = texts as { headers: Record<string, string> }[] as [{ headers: Record<string, string> }];
    expect(headers).toMatchObject({ host: new URL(url).host, 'x-forwarded-for': '127.0.0.1' });
  });

  it('serves clients that keep connections, and ends each with its answer, so that the next goes to a pod', async () => {
    const { stand, port } = await activator();
    await stand(await pod());
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    closing.push(() => agent.destroy());
    const ask = (i: number) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        request({ port, host: '127.0.0.1', agent, path: `/${i}` }, (answer) => resolve(answer.resume()))
          .on('error', reject)
          .end();
      });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i)));
    expect(answers.every(({ statusCode, headers }) => statusCode === 200 && headers.connection === 'close')).toBe(true);
    expect(answers[0]?.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  it('streams answers as they come', async () => {
    const { stand, url } = await activator();
    const streams: ServerResponse[] = [];
    await stand(
      await pod((_incoming, response) => {
        response.write('first');
        streams.push(response);
      }),
    );
    const answer = await fetch(url);
    const reader = answer.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first');
    streams[0]?.end('last');
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last');
  });

  it('holds WebSockets too, and joins them to a pod', async () => {
    const { one, stand, port } = await activator();
    const { server, port: backend } = await pod();
    server.on('upgrade', (_incoming, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
      socket.on('data', (data: Buffer) => socket.write(`back: ${data.toString()}`));
      socket.on('end', () => socket.end());
    });
    const client = connect(port, '127.0.0.1');
    closing.push(() => client.destroy());
    let said = '';
    client.on('data', (data) => {
      said += data.toString();
    });
    client.write('GET /ws HTTP/1.1\r\nhost: notes\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
    await waits(one, 1);
    await stand({ port: backend });
    while (!said.includes('\r\n\r\n')) await new Promise((next) => setTimeout(next, 5));
    expect(said).toContain('101 Switching Protocols');
    client.write('hello');
    while (!said.includes('back: hello')) await new Promise((next) => setTimeout(next, 5));
    expect(one.queues()[service]?.inFlight).toBe(1);
    client.end();
    while (one.queues()[service]?.inFlight) await new Promise((next) => setTimeout(next, 5));
  });

  it('finds a pod that answers before anybody says that it is ready', async () => {
    const { one, stand, url } = await activator();
    const answer = fetch(url);
    await waits(one, 1);
    await stand({ ...(await pod()), isReady: false });
    expect((await answer).status).toBe(200);
  });

  it('goes on to another pod when one refuses the connection', async () => {
    const { stand, url } = await activator();
    const dead = await freePort();
    await stand({ port: dead }, await pod());
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(url, { method: 'POST', body: 'x' })));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  it('answers 503 with Retry-After to what it cannot hold, and when nobody came in time', async () => {
    const { one, url } = await activator({ room: { requests: 1, bytes: 1e6 }, holdMs: 2_000 });
    const first = fetch(url);
    await waits(one, 1);
    const second = await fetch(url, { method: 'POST', body: 'y' });
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await second.json()).toMatchObject({ error: { code: 'ACTIVATOR_FULL' } });
    const late = await first;
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await late.json()).toMatchObject({ error: { code: 'NOT_STARTED' } });
  });

  it('answers 502 when a pod breaks off a request that may have had effects, and asks another for what had none', async () => {
    const { stand, url } = await activator();
    const breaks = await pod((incoming) => incoming.socket.destroy());
    await stand(breaks);
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(502);
    const asked = fetch(url);
    await stand(breaks, await pod());
    expect((await asked).status).toBe(200);
  });

  it('forgets clients that go away', async () => {
    const { one, url } = await activator();
    const client = new AbortController();
    const gone = fetch(url, { signal: client.signal }).catch((error: unknown) => error);
    await waits(one, 1);
    client.abort();
    await gone;
    while (one.queues()[service]?.waiting) await new Promise((next) => setTimeout(next, 5));
    expect(one.load).toBe(0);
  });

  it('tells a reader of its queue at once when requests begin to wait', async () => {
    const { one, url, port } = await activator();
    const page = activatorPage({ activator: one, instance: 'a', isReady: () => true });
    closing.push(() => page.close());
    const address = await page.listen({ host: '127.0.0.1', port: 0 });
    const before = (await (await fetch(`${address}/queue`)).json()) as { alarm: number };
    const after = fetch(`${address}/queue?after=${before.alarm}`);
    const held = fetch(url).catch(() => undefined);
    expect(await (await after).json()).toEqual({
      instance: 'a',
      alarm: before.alarm + 1,
      services: { [service]: { port, waiting: 1, inFlight: 0, total: 1 } },
    });
    expect(await (await fetch(`${address}/metrics`)).text()).toContain(
      'quintet_activator_waiting_requests{namespace="team",service="notes"} 1',
    );
    await one.close();
    await held;
  });
});
