// One user's connection, kept open: requests are written as bytes that were made before, and of an answer the status
// and the text are read. Node's own client takes as much of a processor as the service that is to be measured.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Answer } from './client.ts';

export interface Connection {
  /** One at a time. */
  readonly ask: (request: Uint8Array) => Promise<Answer>;
  readonly end: () => void;
}

/** A whole request with its body, to be sent any number of times. */
export function requestOf(url: string, body: Uint8Array, type: string): Uint8Array {
  const { host, pathname } = new URL(url);
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    `content-type: ${type}`,
    `content-length: ${body.length}`,
    '\r\n',
  ].join('\r\n');
  return Buffer.concat([Buffer.from(head), body]);
}

export async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const answers = answersOf(socket);
  return {
    ask: (request) => {
      socket.write(request);
      return answers();
    },
    end: () => socket.destroy(),
  };
}

/** The next whole answer; each must tell its length. */
function answersOf(socket: Socket): () => Promise<Answer> {
  let waiting: PromiseWithResolvers<Answer> | undefined;
  let chunks: Buffer[] = [];
  let length = 0;
  let whole: number | undefined;
  let head = '';
  const fail = (error: Error) => waiting?.reject(error);
  socket.on('error', fail).on('close', () => fail(new Error('the connection ended')));
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (whole === undefined) {
      const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = bytes.toString('latin1', 0, end);
      whole = end + 4 + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN);
      if (Number.isNaN(whole)) fail(new Error('an answer without its length'));
    }
    if (length < whole) return;
    const text = Buffer.concat(chunks).toString('utf8', head.length + 4, whole);
    [chunks, length, whole] = [[], 0, undefined];
    waiting?.resolve({ status: Number(head.slice(9, 12)), text });
  });
  return () => (waiting = Promise.withResolvers<Answer>()).promise;
}
