// Traces by OpenTelemetry, only where an endpoint is set: without one neither the SDK nor an exporter is loaded, and spans cost nothing.
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

export interface Tracing {
  /** Begins the span of a request, below the one that its headers name. */
  request: (headers: Record<string, unknown>, name: string) => RequestSpan;
  /** Sends what is left. */
  close: () => Promise<void>;
}

export interface RequestSpan {
  readonly span: Span;
  /** Goes on inside the span; to be done again after a body was read, as its events come from outside. */
  inside: (next: () => void) => void;
}

const instrumentation = 'quintet';

/** Undefined unless `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set and `OTEL_SDK_DISABLED` is not. */
export async function startTracing(
  service: string,
  version: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Tracing | undefined> {
  const endpoint = env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  if (endpoint === undefined || endpoint === '' || env['OTEL_SDK_DISABLED'] === 'true') return undefined;
  const [sdk, exporter, resources, { AsyncLocalStorageContextManager }, { W3CTraceContextPropagator }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/context-async-hooks'),
      import('@opentelemetry/core'),
    ]);
  const resource = resources.resourceFromAttributes({
    'service.name': env['OTEL_SERVICE_NAME'] ?? service,
    'service.version': version,
    'service.namespace': 'quintet',
    ...(env['POD_NAME'] === undefined ? {} : { 'k8s.pod.name': env['POD_NAME'] }),
    ...(env['POD_NAMESPACE'] === undefined ? {} : { 'k8s.namespace.name': env['POD_NAMESPACE'] }),
  });
  const url = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? `${endpoint.replace(/\/$/, '')}/v1/traces`;
  const provider = new sdk.TracerProvider({
    resource,
    sampler: new sdk.ParentBasedSampler({
      root: new sdk.TraceIdRatioBasedSampler(ratio(env['OTEL_TRACES_SAMPLER_ARG'])),
    }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new exporter.OTLPTraceExporter({ url, timeoutMillis: 5000 }),
        maxQueueSize: 4096,
      }),
    ],
  });
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  const tracer = provider.getTracer(instrumentation, version);
  return {
    request: (headers, name) => {
      const parent: Context = propagation.extract(ROOT_CONTEXT, headers);
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
      const within = trace.setSpan(parent, span);
      return { span, inside: (next) => context.with(within, next) };
    },
    close: async () => {
      // A collector that is away must not hold the end of the process.
      await Promise.race([provider.shutdown(), new Promise((resolve) => setTimeout(resolve, 3000).unref())]).catch(
        () => undefined,
      );
      trace.disable();
      context.disable();
      propagation.disable();
    },
  };
}

/** Runs `work` inside a span below the present one; without tracing it just runs. Errors are recorded and thrown on. */
export async function traced<T>(
  name: string,
  work: (span: Span) => Promise<T>,
  attributes: Record<string, string | number | boolean> = {},
): Promise<T> {
  return trace.getTracer(instrumentation).startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Headers that carry the present span to another service. */
export function traceHeaders(): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}

function ratio(text: string | undefined): number {
  const value = Number(text ?? 1);
  return value >= 0 && value <= 1 ? value : 1;
}
