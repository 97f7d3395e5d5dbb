// Text in chunks over a WebSocket, compressed parts out as soon as they are whole. The socket is not read while answers wait
// to be sent, so a slow reader slows its writer and costs no memory here.

import { type EngineServer, isQuintetError, QuintetError, upgrades } from '@quintet/runtime';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { type Chunk, chunker } from '../chunks.ts';
import type { Compressor } from './compressor.ts';
import { compressRequest } from './schema.ts';

const incoming = z.discriminatedUnion('type', [
  compressRequest
    .pick({ ratio: true, query: true, strategy: true, tokenizer: true })
    .extend({ type: z.literal('start') }),
  z.object({ type: z.literal('chunk'), text: z.string() }),
  z.object({ type: z.literal('end') }),
]);

/** Bytes that may wait in the socket before the next part is worked on. */
const sendBuffer = 256 * 1024;
const mostWaiting = 4;
/** Milliseconds that a stream has at the end of the engine for the parts under way. */
const drainMs = 5000;

export function streamRoute(
  server: EngineServer,
  compressor: Compressor,
  { maxMessageSize, maxConnections }: { maxMessageSize: number; maxConnections: () => number },
): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxMessageSize });
  const streams = new WeakMap<WebSocket, { end: () => void }>();
  const upgradeOf = upgrades(server);
  let ending = false;
  // Before the server waits for its connections: streams are among them, and none would end of itself.
  server.addHook('preClose', async () => {
    ending = true;
    const open = [...sockets.clients];
    const gone = Promise.all(open.map((each) => new Promise((resolve) => each.once('close', resolve))));
    for (const each of open) streams.get(each)?.end();
    const late = setTimeout(() => {
      for (const each of open) each.terminate();
    }, drainMs);
    await gone;
    clearTimeout(late);
    sockets.close();
  });
  server.get('/v1/stream', { schema: { hide: true }, config: { lasting: true } }, (request, reply) => {
    const upgrade = upgradeOf(request.raw);
    if (sockets.clients.size >= maxConnections())
      throw new QuintetError('OVERLOADED', { queue: 'streams', waiting: sockets.clients.size, retryAfter: 5 });
    if (ending) throw new QuintetError('OVERLOADED', { queue: 'streams', waiting: 0, retryAfter: 1 });
    sockets.handleUpgrade(request.raw, upgrade.take(reply), upgrade.head, (socket) => {
      streams.set(socket, serve(socket, request.identity.tenant, compressor));
    });
  });
}

/** `end` lets the parts under way out, takes no more and closes. */
function serve(socket: WebSocket, tenant: string, compressor: Compressor): { end: () => void } {
  const gone = new AbortController();
  let options: Record<string, unknown> = {};
  const parts = chunker();
  let totals = { originalTokens: 0, compressedTokens: 0 };
  const waiting: (() => Promise<void>)[] = [];
  let working = false;
  let ended = false;

  const fail = (error: unknown): void => {
    const known = isQuintetError(error)
      ? error
      : new QuintetError('INTERNAL', { requestId: 'stream' }, { cause: error });
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: 'error', error: known.toBody() }));
    ended = true;
    waiting.length = 0;
    // A socket that is not read does not hear the client's close either, and would stay open until its time is up.
    socket.resume();
    socket.close(closeCode(known));
  };
  const work = async (): Promise<void> => {
    if (working) return;
    working = true;
    try {
      for (let next = waiting.shift(); next && !gone.signal.aborted; next = waiting.shift()) {
        await next();
        if (waiting.length < mostWaiting) socket.resume();
      }
    } catch (error) {
      if (!gone.signal.aborted) fail(error);
    } finally {
      working = false;
    }
  };
  const enqueue = (step: () => Promise<void>): void => {
    waiting.push(step);
    if (waiting.length >= mostWaiting) socket.pause();
    void work();
  };
  /** A stream has a way to say that it is slow: it is not read on. So it waits where a request would be refused. */
  const whenThereIsRoom = async <T>(answer: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await answer();
      } catch (error) {
        if (gone.signal.aborted || !isQuintetError(error) || error.code !== 'OVERLOADED') throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  };
  const part = (chunk: Chunk) => async (): Promise<void> => {
    const answer = await whenThereIsRoom(() => compressor.part(tenant, { ...options, text: chunk.text }, gone.signal));
    totals = {
      originalTokens: totals.originalTokens + (answer.originalTokens ?? 0),
      compressedTokens: totals.compressedTokens + (answer.compressedTokens ?? 0),
    };
    const { text, spans, original, rate, strategy } = answer;
    const [originalTokens, compressedTokens] = [answer.originalTokens ?? 0, answer.compressedTokens ?? 0];
    const end = chunk.start + chunk.text.length;
    const figures = { strategy, originalTokens, compressedTokens, ...(rate && { rate }) };
    // Spans are of the part's own original, as its id is.
    await send({ type: 'part', start: chunk.start, end, text, ...figures, spans, ...(original && { original }) });
  };
  const send = async (message: object): Promise<void> => {
    socket.send(JSON.stringify(message));
    while (socket.bufferedAmount > sendBuffer && !gone.signal.aborted)
      await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const take = (chunks: readonly Chunk[]): void => {
    for (const chunk of chunks) enqueue(part(chunk));
  };

  socket.on('close', () => gone.abort());
  socket.on('error', () => gone.abort());
  socket.on('message', (data: Buffer) => {
    if (ended) return;
    try {
      const message = incoming.parse(JSON.parse(data.toString('utf8')));
      if (message.type === 'start') {
        const { type: _, ...rest } = message;
        options = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
      } else if (message.type === 'chunk') {
        take(parts.push(message.text));
      } else {
        ended = true;
        take(parts.end());
        enqueue(() => send({ type: 'done', ...totals }).then(() => socket.close(1000)));
      }
    } catch (error) {
      fail(
        error instanceof z.ZodError
          ? new QuintetError('INVALID_REQUEST', { reason: z.prettifyError(error) })
          : new QuintetError('MALFORMED_BODY', { reason: 'a message must be JSON' }),
      );
    }
  });
  return {
    end: () => {
      ended = true;
      // What still waits in the socket is not for this process any more; the sender hears why.
      enqueue(async () => socket.close(1001, 'shutting down'));
      socket.resume();
    },
  };
}

/** Says whose fault it was: data that cannot be read, a request that is refused, or the server. */
function closeCode({ code, status }: QuintetError): number {
  if (code === 'MALFORMED_BODY') return 1007;
  return status < 500 ? 1008 : 1011;
}
