import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { evolutionRun, parseStored } from '@quintet/crds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coordinate } from './coordinator.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  // A byte now and then, without end.
  server = createServer((_, response) => {
    const timer = setInterval(() => response.write('a'), 20);
    response.on('close', () => clearInterval(timer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}/data.csv`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const coordinated = (time: string, signal?: AbortSignal) => {
  const spec = { dataset: { source: { http: { url } }, target: 'y', task: 'Binary' }, budget: { time } };
  const resource = parseStored(evolutionRun, { metadata: { name: 'slow', namespace: 'test' }, spec });
  const none = { redisUrl: undefined, postgresUrl: undefined, output: undefined, processes: 1 };
  return coordinate({ resource, ...none, ...(signal && { signal }) });
};

describe('a source that trickles', () => {
  it('holds the coordinator no longer than the budget', async () => {
    await expect(coordinated('200ms')).rejects.toMatchObject({
      reason: 'InvalidResource',
      message: 'the table could not be read within 200ms; give more, use fewer rows, or a faster source',
      where: { field: 'spec.budget.time' },
      retryable: false,
    });
  });

  it('is left when the coordinator is told to end', async () => {
    const stop = new AbortController();
    const reading = coordinated('10m', stop.signal);
    setTimeout(() => stop.abort(), 200);
    await expect(reading).rejects.toThrow('aborted');
  });
});
