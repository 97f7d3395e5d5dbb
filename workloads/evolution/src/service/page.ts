// The small page of a coordinator or worker: alive, ready, metrics, progress.
import { createServer } from 'node:http';
import { gaugeOf, Registry } from '@quintet/runtime';

export interface PageOptions {
  readonly port: number;
  readonly ready: () => boolean;
  readonly progress: () => unknown;
  /** Told by the controller, just before the pod is told to end, that its resource is gone. */
  readonly onCancelled?: () => void;
  /** Gauges by name. */
  readonly figures: Readonly<Record<string, { readonly help: string; readonly read: () => number | undefined }>>;
}

export interface Page {
  readonly port: number;
  close: () => Promise<void>;
}

export async function openPage(options: PageOptions): Promise<Page> {
  const registry = new Registry();
  for (const [name, { help, read }] of Object.entries(options.figures)) {
    gaugeOf(registry, name, help, [], () => {
      const value = read();
      return value === undefined ? [] : [[{}, value]];
    });
  }
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    const answer = (status: number, type: string, body: string): void =>
      void response.writeHead(status, { 'content-type': type }).end(body);
    const path = (request.url ?? '').split('?')[0];
    if (path === '/healthz') answer(200, 'text/plain', 'ok\n');
    else if (path === '/readyz')
      answer(options.ready() ? 200 : 503, 'text/plain', options.ready() ? 'ready\n' : 'starting\n');
    else if (path === '/cancelled' && request.method === 'POST' && options.onCancelled) {
      options.onCancelled();
      answer(202, 'text/plain', 'noted\n');
    } else if (path === '/progress') answer(200, 'application/json', `${JSON.stringify(options.progress() ?? {})}\n`);
    else if (path === '/metrics') {
      void registry.metrics().then(
        (text) => answer(200, registry.contentType, text),
        () => answer(500, 'text/plain', 'metrics failed\n'),
      );
    } else answer(404, 'text/plain', 'not found\n');
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
