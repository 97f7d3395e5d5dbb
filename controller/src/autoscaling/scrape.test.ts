// Pods as servers on this machine: good, slow, huge, broken and gone.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { Scraper } from './scrape.ts';

const servers: Server[] = [];
const scraper = new Scraper({ timeoutMs: 1_500, maxBytes: 100_000, concurrency: 4 });

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

afterAll(async () => {
  await scraper.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

describe('a scrape', () => {
  it('hears who answers and names the fault of who does not', async () => {
    const urls: Record<string, string> = {
      good: await serve((_request, response) => response.end('quintet_queue_depth 4\n')),
      slow: await serve((_request, response) => void response.write('quintet_queue_depth 4\n')),
      mute: await serve(() => undefined),
      huge: await serve((_request, response) => response.end(`quintet_queue_depth 4\n# ${'x'.repeat(200_000)}`)),
      failing: await serve((_request, response) => response.writeHead(500).end()),
      redirecting: await serve((_request, response) =>
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      ),
      gone: 'http://127.0.0.1:1/metrics',
    };
    const answers = await scraper.all(Object.entries(urls).map(([id, url]) => ({ id, url })));
    expect(answers.get('good')).toMatchObject({ queueDepth: 4 });
    const faults = [...answers].filter(([, answer]) => answer instanceof Error).map(([id]) => id);
    expect(faults.sort()).toEqual(['failing', 'gone', 'huge', 'mute', 'redirecting', 'slow']);
  });

  it('keeps one connection to each pod, and no more requests at once than allowed', async () => {
    let now = 0;
    let most = 0;
    const sockets = new Set<unknown>();
    const url = await serve((request, response) => {
      sockets.add(request.socket);
      most = Math.max(most, ++now);
      setTimeout(() => {
        now -= 1;
        response.end('quintet_queue_depth 1\n');
      }, 5);
    });
    for (let i = 0; i < 10; i++) await scraper.all([{ id: 'one', url }]);
    expect(sockets.size).toBe(1);
    expect(most).toBe(1);
  });
});
