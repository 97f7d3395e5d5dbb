// WebSockets that pass through the routes as any request does: token, limits and errors are those of all routes.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { QuintetError } from '../errors.ts';
import type { EngineServer } from './context.ts';

/** A request for a WebSocket. */
export interface Upgrade {
  /** What came behind the request already. */
  readonly head: Buffer;
  /** From here on the connection is the caller's. */
  take: (reply: FastifyReply) => Socket;
}

/**
 * Has the routes of `server` see requests for WebSockets too.
 * @returns What a request asks for. It throws `INVALID_REQUEST` where that is no WebSocket.
 */
export function upgrades(server: EngineServer): (request: IncomingMessage) => Upgrade {
  const asked = new WeakMap<IncomingMessage, { socket: Socket; head: Buffer }>();
  server.server.on('upgrade', (raw: IncomingMessage, socket: Socket, head: Buffer) => {
    const response = new ServerResponse(raw);
    response.assignSocket(socket);
    response.on('finish', () => socket.end());
    socket.on('error', () => socket.destroy());
    asked.set(raw, { socket, head });
    server.routing(raw, response);
  });
  return (request) => {
    const upgrade = asked.get(request);
    if (!upgrade) throw new QuintetError('INVALID_REQUEST', { reason: 'this address speaks WebSocket only' });
    const { socket, head } = upgrade;
    const take = (reply: FastifyReply): Socket => {
      reply.hijack();
      reply.raw.detachSocket(socket);
      return socket;
    };
    return { head, take };
  };
}
