// What is seen of each request: metrics, one log line, a span.
import { SpanStatusCode } from '@opentelemetry/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { collectDefaultMetrics } from 'prom-client';
import { counter, gaugeOf, histogram, type Registry } from '../metrics.ts';
import type { RequestSpan, Tracing } from '../traces.ts';
import { cpuQuota, memoryLimit } from '../work/cgroup.ts';
import { whenDone } from './cancellation.ts';
import type { EngineServer } from './context.ts';

export function observeRequests(server: EngineServer, registry: Registry, tracing: Tracing | undefined): void {
  const requests = counter(registry, 'quintet_requests_total', 'Answered requests.', ['route', 'method', 'status']);
  const seconds = histogram(
    registry,
    'quintet_request_seconds',
    'Time from the first byte of a request to the last of its answer.',
    ['route', 'method'],
  );
  const spans = new WeakMap<FastifyRequest, RequestSpan>();
  let inFlight = 0;
  gaugeOf(registry, 'quintet_requests_in_flight', 'Requests being worked on.', [], () => [[{}, inFlight]]);
  let streams = 0;
  gaugeOf(registry, 'quintet_streams_open', 'WebSockets and event streams that last.', [], () => [[{}, streams]]);
  const lasts = (request: FastifyRequest, reply: FastifyReply) => {
    streams += 1;
    whenDone(request, reply, () => {
      streams -= 1;
    });
  };

  server.addHook('onRequest', (request, reply, next) => {
    const { config, url: route = 'none' } = request.routeOptions;
    if (config.public) return next();
    const started = performance.now();
    inFlight += 1;
    if (request.headers.upgrade !== undefined) lasts(request, reply);
    reply.header('x-request-id', request.id);
    const traced = tracing?.request(request.headers, `${request.method} ${route}`);
    const span = traced?.span;
    whenDone(request, reply, () => {
      inFlight -= 1;
      const status = statusOf(request, reply);
      const took = performance.now() - started;
      requests.inc({ route, method: request.method, status: String(status) });
      // How long a WebSocket stays open says nothing about speed.
      if (status !== 101) seconds.observe({ route, method: request.method }, took / 1000);
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
    if (String(reply.getHeader('content-type')).startsWith('text/event-stream')) lasts(request, reply);
    next(null, payload);
  });
  if (!tracing) return;
  server.addHook('preHandler', (request, _reply, next) => {
    const traced = spans.get(request);
    if (traced) traced.inside(next);
    else next();
  });
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
