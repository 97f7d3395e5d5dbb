// A crowd of connections that each ask again as soon as they are answered, over bare sockets with requests made beforehand: what
// is measured is the service, and not the library of a client that shares its two cores.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface Crowd {
  /** Milliseconds from each request to its answer. */
  readonly spans: number[];
  readonly perSecond: number;
}

interface Member {
  readonly socket: Socket;
  /** What it hears from now on. */
  hear: (bytes: Buffer) => void;
}

/** Questions of one kind: what is said first, one question out of many, and whether these bytes end an answer. */
export interface Talk {
  readonly opening?: string;
  readonly questions: readonly Buffer[];
  readonly ends: (bytes: Buffer) => boolean;
}

/** @param times Questions in all; the first of each connection are not counted. */
export async function crowd(port: number, size: number, times: number, talk: Talk): Promise<Crowd> {
  const members: Member[] = [];
  for (let i = 0; i < size; i += 100) {
    members.push(...(await Promise.all(Array.from({ length: Math.min(100, size - i) }, () => join(port, talk)))));
  }
  const spans: number[] = [];
  let asked = 0;
  const next = (): Buffer => talk.questions[asked++ % talk.questions.length]!;
  const start = performance.now();
  try {
    await Promise.all(
      members.map(
        (member) =>
          new Promise<void>((resolve, reject) => {
            let sent = performance.now();
            let first = true;
            member.socket.once('close', () => reject(new Error('a connection was closed')));
            member.hear = (bytes) => {
              if (!talk.ends(bytes)) return;
              const now = performance.now();
              if (!first) spans.push(now - sent);
              first = false;
              if (asked >= times) return resolve();
              sent = now;
              member.socket.write(next());
            };
            member.socket.write(next());
          }),
      ),
    );
  } finally {
    for (const { socket } of members) socket.removeAllListeners('close').destroy();
  }
  return { spans, perSecond: (1000 * asked) / (performance.now() - start) };
}

/** All connections read into one buffer: what is heard is looked at before the next read. */
const heard = Buffer.alloc(65_536);

function join(port: number, { opening }: Talk): Promise<Member> {
  return new Promise((resolve, reject) => {
    const member: Member = {
      socket: connect({
        host: '127.0.0.1',
        port,
        noDelay: true,
        onread: {
          buffer: heard,
          callback: (length) => {
            member.hear(heard.subarray(0, length));
            return true;
          },
        },
      }),
      hear: (bytes) => {
        if (bytes.subarray(0, 12).toString() === 'HTTP/1.1 101') resolve(member);
        else reject(new Error(`refused: ${bytes.toString()}`));
      },
    };
    member.socket.once('error', reject);
    member.socket.once('connect', () => {
      if (opening === undefined) resolve(member);
      else member.socket.write(opening);
    });
  });
}

/** A point in bytes over the WebSocket; the answer is one frame of 14 bytes. */
export function streamTalk(points: readonly (readonly number[])[]): Talk {
  return {
    opening: [
      'GET /v1/stream HTTP/1.1',
      'Host: bench',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    ].join('\r\n'),
    questions: points.map((point, number) => {
      const query = Buffer.alloc(4 + 4 * point.length);
      query.writeUInt32LE(number, 0);
      point.forEach((value, i) => query.writeFloatLE(value, 4 + 4 * i));
      const mask = randomBytes(4);
      const masked = query.map((byte, i) => byte ^ mask[i % 4]!);
      return Buffer.concat([Buffer.from([0x82, 0x80 | query.length]), mask, masked]);
    }),
    // Shorter ones are no pressures: an error, or the end.
    ends: (bytes) => {
      if (bytes.length === 14) return true;
      throw new Error(`not an answer: ${bytes.toString('hex')}`);
    },
  };
}

/** A point as JSON over HTTP; the answer ends as its JSON does. */
export function httpTalk(points: readonly (readonly number[])[]): Talk {
  return {
    questions: points.map((point) => {
      const body = JSON.stringify({ points: [point] });
      const head = ['POST /v1/points HTTP/1.1', 'Host: bench', 'Content-Type: application/json'];
      return Buffer.from([...head, `Content-Length: ${body.length}`, '', body].join('\r\n'));
    }),
    ends: (bytes) => {
      const answers = bytes.subarray(0, 12).toString();
      if (answers.startsWith('HTTP/1.1') && answers !== 'HTTP/1.1 200') throw new Error(bytes.toString());
      return bytes.at(-1) === 0x7d;
    },
  };
}
