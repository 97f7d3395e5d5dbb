// `request.signal` and the time limit of handlers. Fastify's own (5.12) follow the `close` of the request, which comes as soon as its body was
// read: with them every POST would be cancelled at once and never run out of time.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { orAborted } from '../abort.ts';
import { QuintetError } from '../errors.ts';
import type { EngineServer } from './context.ts';

/**
 * Makes `request.signal` abort when the connection ends before the answer is out, and when the handler's time is up. A handler that returns a
 * promise is then answered for with 504, whatever it goes on doing; an answer that is already being sent is not cut off.
 */
export function cancellation(server: EngineServer, handlerTimeout: number): void {
  server.addHook('onRequest', (request, reply, next) => {
    // A refused upgrade: Node has let go of the socket, and nobody else would end it.
    if (request.headers.upgrade !== undefined) reply.raw.once('finish', () => request.raw.socket.end());
    let control: AbortController | undefined;
    const get = () => (control ??= controlOf(request, reply)).signal;
    Object.defineProperty(request, 'signal', { get, configurable: true });
    Object.defineProperty(request, cancel, { value: (reason: Error) => (get(), control?.abort(reason)) });
    next();
  });
  server.addHook('onRoute', (route) => {
    // The handler of a WebSocket is called with a socket, once; its connection may last.
    if ('websocket' in route && route.websocket) return;
    const { handler } = route;
    const limit = route.handlerTimeout ?? handlerTimeout;
    delete route.handlerTimeout;
    route.handler = function (request, reply) {
      const answer: unknown = handler.call(this, request, reply);
      return answer instanceof Promise ? limited(answer, request, reply, limit) : answer;
    };
  });
}

/** Calls `done` once, when the answer is out or the connection gone, however a request ends. */
export function whenDone(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  let open = true;
  const end = () => {
    if (open) done();
    open = false;
  };
  reply.raw.once('close', end);
  // The answer to an upgrade never closes; its socket does.
  if (request.headers.upgrade !== undefined) request.raw.socket.once('close', end);
}

const cancel = Symbol('cancel');
type Cancellable = FastifyRequest & { [cancel]: (reason: Error) => void };

function controlOf(request: FastifyRequest, reply: FastifyReply): AbortController {
  const control = new AbortController();
  const gone = () => {
    if (!reply.raw.writableFinished) control.abort(new QuintetError('CANCELLED'));
  };
  if (reply.raw.destroyed) gone();
  whenDone(request, reply, gone);
  return control;
}

async function limited(
  answer: Promise<unknown>,
  request: FastifyRequest,
  reply: FastifyReply,
  limit: number,
): Promise<unknown> {
  const timeUp = new AbortController();
  const timer = setTimeout(() => {
    // A handler that returns its reply settles when the answer is out: a stream may take longer than its beginning may.
    if (reply.raw.headersSent) return;
    const reason = new QuintetError('DEADLINE_EXCEEDED');
    timeUp.abort(reason);
    (request as Cancellable)[cancel](reason);
  }, limit);
  try {
    return await orAborted(answer, timeUp.signal);
  } finally {
    clearTimeout(timer);
  }
}
