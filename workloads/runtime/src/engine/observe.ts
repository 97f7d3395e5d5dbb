// What is seen of each request: metrics, one log line, a span.
import { SpanStatusCode } from '@opentelemetry/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { collectDefaultMetrics } from 'prom-client';
import { counter, gaugeOf, histogram, type Registry } from '../metrics.ts';
import type { RequestSpan, Tracing } from '../traces.ts';
import { cpuQuota, memoryLimit } from '../work/cgroup.ts';
import { whenDone } from './cancellation.ts';
import type { EngineServer } from './context.ts';

/** @param drainMs Time that an ending process leaves to answers under way. */
export function observeRequests(
  server: EngineServer,
  registry: Registry,
  tracing: Tracing | undefined,
  drainMs: () => number,
): void {
  const requests = counter(registry, 'quintet_requests_total', 'Answered requests.', ['route', 'method', 'status']);
  const seconds = histogram(
    registry,
    'quintet_request_seconds',
    'Time from the first byte of a request to the last of its answer; of an event stream to its first.',
    ['route', 'method'],
  );
  const spans = new WeakMap<FastifyRequest, RequestSpan>();
  let inFlight = 0;
  gaugeOf(registry, 'quintet_requests_in_flight', 'Requests being worked on.', [], () => [[{}, inFlight]]);
  let sockets = 0;
  const events = new EventStreams(drainMs);
  const help = 'WebSockets, and event streams where those outlast a drain.';
  gaugeOf(registry, 'quintet_streams_open', help, [], () => [[{}, sockets + events.lasting()]]);

  server.addHook('onRequest', (request, reply, next) => {
    const { config, url: route = 'none' } = request.routeOptions;
    if (config.public) return next();
    const started = performance.now();
    inFlight += 1;
    const isUpgrade = request.headers.upgrade !== undefined;
    if (isUpgrade) sockets += 1;
    reply.header('x-request-id', request.id);
    const traced = tracing?.request(request.headers, `${request.method} ${route}`);
    const span = traced?.span;
    whenDone(request, reply, () => {
      inFlight -= 1;
      if (isUpgrade) sockets -= 1;
      const status = statusOf(request, reply);
      const took = performance.now() - started;
      const began = events.end(request);
      requests.inc({ route, method: request.method, status: String(status) });
      // How long a WebSocket or an event stream stays open says nothing about speed.
      const speed = began === undefined ? took : began - started;
      if (status !== 101) seconds.observe({ route, method: request.method }, speed / 1000);
      span?.setAttributes({
        'http.request.method': request.method,
        'http.route': route,
        'http.response.status_code': status,
      });
      span?.setAttribute('quintet.tenant', request.identity?.tenant ?? '');
      if (status >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
      span?.end();
      const trace = span ? { traceId: span.spanContext().traceId } : {};
      request.log.info(
        {
          method: request.method,
          route,
          status,
          ms: Math.round(took * 100) / 100,
          tenant: request.identity?.tenant,
          ...trace,
        },
        'request',
      );
    });
    if (!traced) return next();
    spans.set(request, traced);
    traced.inside(next);
  });
  server.addHook('onSend', (request, reply, payload, next) => {
    if (String(reply.getHeader('content-type')).startsWith('text/event-stream')) events.begin(request);
    next(null, payload);
  });
  if (!tracing) return;
  server.addHook('preHandler', (request, _reply, next) => {
    const traced = spans.get(request);
    if (traced) traced.inside(next);
    else next();
  });
}

/** For so long after one was cut or would have been, each may be such a one. */
const longMs = 3_600_000;

/** Event streams: an engine whose answers all end within a drain loses none by ending. */
class EventStreams {
  readonly #open = new Map<FastifyRequest, number>();
  readonly #drainMs: () => number;
  #lastLong = Number.NEGATIVE_INFINITY;

  constructor(drainMs: () => number) {
    this.#drainMs = drainMs;
  }

  begin(request: FastifyRequest): void {
    this.#open.set(request, performance.now());
  }

  /** @returns When it began, by `performance.now()`; undefined for what is no event stream. */
  end(request: FastifyRequest): number | undefined {
    const began = this.#open.get(request);
    if (began !== undefined) this.#note(began);
    this.#open.delete(request);
    return began;
  }

  lasting(): number {
    for (const began of this.#open.values()) this.#note(began);
    return performance.now() - this.#lastLong < longMs ? this.#open.size : 0;
  }

  #note(began: number): void {
    const now = performance.now();
    if (now - began > this.#drainMs()) this.#lastLong = now;
  }
}

/** 499 for an answer that was never written: the client went away. 101 for a connection that was handed over. */
function statusOf(request: FastifyRequest, reply: FastifyReply): number {
  if (reply.raw.writableFinished) return reply.statusCode;
  return reply.sent && request.headers.upgrade !== undefined ? 101 : 499;
}

/** Process figures (CPU, memory, event loop, garbage collection) and what they are to be compared with. */
export function observeProcess(registry: Registry): void {
  if (!registry.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics({ register: registry });
  gaugeOf(registry, 'quintet_cpu_limit', "CPUs of the cgroup's quota.", [], () => [[{}, cpuQuota()]]);
  gaugeOf(registry, 'quintet_memory_limit_bytes', "The cgroup's memory limit.", [], () => [[{}, memoryLimit()]]);
}
