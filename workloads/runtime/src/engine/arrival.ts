// The time that a request has to arrive. Node's `requestTimeout` cuts off whoever sends a long body that is worked on as it comes, and writes its
// answer into the middle of the one that is being sent.
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { QuintetError } from '../errors.ts';
import type { EngineServer } from './context.ts';

/** @param limit Milliseconds for a whole body, or for a silence within a long one. */
export function arrival(server: EngineServer, limit: number): void {
  server.addHook('onRequest', (request, reply, next) => {
    const { raw } = request;
    const { 'content-length': length, 'transfer-encoding': encoding } = raw.headers;
    // What is upgraded is no body; what has none is here.
    if (!raw.complete && !raw.headers.upgrade && (encoding !== undefined || Number(length) > 0))
      watch(request, reply, limit);
    next();
  });
}

function watch(request: FastifyRequest, reply: FastifyReply, limit: number): void {
  const { raw } = request;
  const long = request.routeOptions.config.longBody === true;
  let seen = raw.socket.bytesRead;
  const timer = setInterval(() => {
    const { bytesRead } = raw.socket;
    // What has come and is not yet read waits for us.
    const alive = bytesRead !== seen || raw.readableLength > 0;
    seen = bytesRead;
    if (!(long && alive)) expire();
  }, limit);
  const arrived = () => clearInterval(timer);
  raw.once('end', arrived);
  raw.once('close', arrived);

  function expire(): void {
    arrived();
    if (reply.sent || reply.raw.headersSent) return cutOff(raw);
    reply.raw.once('close', () => cutOff(raw));
    reply.raw.once('finish', () => cutOff(raw));
    void reply.header('connection', 'close').send(new QuintetError('REQUEST_TIMEOUT'));
  }
}

function cutOff({ socket }: IncomingMessage): void {
  // Its answer has been handed over; it goes out before the end.
  socket.destroySoon();
}
