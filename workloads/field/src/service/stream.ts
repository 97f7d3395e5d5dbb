// Queries over a WebSocket, at the rate of a haptic loop: points as bytes, solves and the choice of a solution as JSON. The
// socket is not read while many answers wait, so a client that asks too fast slows itself.
import { asQuintetError, type EngineServer, isQuintetError, QuintetError, upgrades } from '@quintet/runtime';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { Queries } from './queries.ts';
import { valuesOf } from './routes.ts';
import { farthest, mostPoints, pointsRequest, solveRequest } from './schema.ts';

const id = z.union([z.string().max(128), z.number()]).optional();
const incoming = z.discriminatedUnion('type', [
  pointsRequest.extend({ type: z.literal('points'), id }),
  solveRequest.extend({ type: z.literal('solve'), id }),
  z.strictObject({
    type: z.literal('use'),
    id,
    solution: z.string().max(43).optional().describe("Left out, that of the resource's targets."),
  }),
]);

const mostMessage = 1 << 20;
/** Messages of one client that are worked on. */
const mostWaiting = 64;
/** Bytes that may wait in the socket before the client is read on. */
const sendBuffer = 1 << 20;
/** Milliseconds; who is silent for as long after a ping is gone, and makes room. */
const pingEvery = 30_000;

export function streamRoute(server: EngineServer, queries: () => Queries, maxConnections: number): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: mostMessage });
  const upgradeOf = upgrades(server);
  const silent = new WeakSet<WebSocket>();
  const heartbeat = setInterval(() => {
    for (const each of sockets.clients) {
      if (silent.has(each)) each.terminate();
      silent.add(each);
      each.ping();
    }
  }, pingEvery).unref();
  server.addHook('preClose', async () => {
    clearInterval(heartbeat);
    for (const each of sockets.clients) each.close(1001, 'shutting down');
    sockets.close();
  });
  server.get('/v1/stream', { schema: { hide: true } }, (request, reply) => {
    const upgrade = upgradeOf(request.raw);
    if (sockets.clients.size >= maxConnections)
      throw new QuintetError('OVERLOADED', { queue: 'streams', waiting: sockets.clients.size, retryAfter: 5 });
    const connection = upgrade.take(reply);
    sockets.handleUpgrade(request.raw, connection, upgrade.head, (socket) => {
      connection.setNoDelay(true);
      for (const event of ['pong', 'message']) socket.on(event, () => silent.delete(socket));
      serve(socket, request.identity.tenant, queries());
    });
  });
}

function serve(socket: WebSocket, tenant: string, queries: Queries): void {
  const gone = new AbortController();
  /** What points are of that name no solution: after the solve or choice that was sent before them, done or not. */
  let chosen: string | undefined | Promise<string | undefined>;
  const settle = async (of: Promise<string | undefined>): Promise<void> => {
    const solution = await of;
    if (chosen === of) chosen = solution;
  };
  const choose = <T extends { solution?: string | undefined }>(work: Promise<T>): Promise<T> => {
    const before = chosen;
    const next = work.then(
      ({ solution }) => solution,
      () => before,
    );
    chosen = next;
    void settle(next);
    return work;
  };
  let waiting = 0;
  const send = (message: object | Buffer): void => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.isBuffer(message) ? message : JSON.stringify(message));
  };
  const answer = async (data: Buffer): Promise<void> => {
    let asked: unknown;
    try {
      const text = parse(data);
      asked = (text as { id?: unknown } | null)?.id;
      const message = read(text);
      send({ id: message.id, ...(await reply(message)) });
    } catch (error) {
      const known = isQuintetError(error) ? error : asQuintetError(error, { id: 'stream' });
      send({ id: asked, type: 'error', error: known.toBody() });
    }
  };
  const reply = async (message: z.output<typeof incoming>): Promise<object> => {
    if (message.type === 'solve') {
      return { type: 'solution', ...(await choose(queries.solve(tenant, message, gone.signal))) };
    }
    if (message.type === 'use') {
      const { solution } = message;
      const known = queries.pressures(tenant, solution, new Float64Array(0));
      return { type: 'using', ...(await choose(known.then(() => ({ solution })))) };
    }
    const of = { ...message, solution: message.solution ?? (await chosen) };
    const { solution: used, floats } = await queries.points(tenant, of, gone.signal);
    return { type: 'points', solution: used, values: valuesOf(message.quantities, floats) };
  };
  /** The most frequent question is answered before the next is read, without a promise, where that is possible. */
  const answerPoints = (data: Buffer): Promise<void> | undefined => {
    const refused = (): void => send(Buffer.from(data.subarray(0, 4)));
    const points = pointsIn(data);
    if (!points) {
      refused();
      return undefined;
    }
    const of = chosen;
    const found = of instanceof Promise ? undefined : queries.pressuresNow(tenant, of, points);
    if (found) {
      send(pressuresFor(data, found));
      return undefined;
    }
    const summed = async (): Promise<void> =>
      send(pressuresFor(data, await queries.pressures(tenant, await of, points)));
    return summed().catch(refused);
  };
  socket.on('close', () => gone.abort());
  socket.on('error', () => gone.abort());
  socket.on('message', (data: Buffer, binary: boolean) => {
    const answered = binary ? answerPoints(data) : answer(data);
    if (!answered) {
      if (socket.bufferedAmount > sendBuffer) {
        socket.pause();
        resume();
      }
      return;
    }
    waiting += 1;
    if (waiting >= mostWaiting) socket.pause();
    void answered.finally(() => {
      waiting -= 1;
      resume();
    });
  });
  let looksAgain = false;
  const resume = (): void => {
    if (!socket.isPaused || waiting >= mostWaiting) return;
    if (socket.bufferedAmount <= sendBuffer) return socket.resume();
    if (looksAgain || gone.signal.aborted) return;
    looksAgain = true;
    setTimeout(() => {
      looksAgain = false;
      resume();
    }, 20).unref();
  };
}

/** Of a query in bytes: its number (uint32), then x, y, z of each point as float32, little-endian. Undefined where it is none. */
function pointsIn(data: Buffer): Float64Array | undefined {
  const count = (data.length - 4) / 12;
  if (!Number.isInteger(count) || count < 1 || count > mostPoints) return undefined;
  const points = new Float64Array(3 * count);
  for (let i = 0; i < points.length; i++) {
    const value = data.readFloatLE(4 + 4 * i);
    if (!(Math.abs(value) <= farthest)) return undefined;
    points[i] = value;
  }
  return points;
}

/** The answer to it: its number, then real and imaginary part at each point. */
function pressuresFor(data: Buffer, floats: Float32Array): Buffer {
  const back = Buffer.allocUnsafe(4 + 4 * floats.length);
  data.copy(back, 0, 0, 4);
  for (let i = 0; i < floats.length; i++) back.writeFloatLE(floats[i]!, 4 + 4 * i);
  return back;
}

function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    throw new QuintetError('INVALID_REQUEST', { reason: 'a message must be JSON, or bytes of a point query' });
  }
}

function read(message: unknown): z.output<typeof incoming> {
  const parsed = incoming.safeParse(message);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new QuintetError('INVALID_REQUEST', {
    field: issue?.path.join('.'),
    reason: issue?.message ?? 'not as described',
  });
}
