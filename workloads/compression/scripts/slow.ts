// Clients that send and do not read.
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';

const mebibyte = 1024 * 1024;

/** So many connections that ask for an answer of half a megabyte again and again and read none. Returns how to end them. */
export async function slowConnections(url: string, count: number): Promise<() => Promise<void>> {
  const { port, hostname, host } = new URL(url);
  const body = JSON.stringify({ text: sentences(mebibyte / 2), ratio: 1 });
  const request = `POST /v1/compress HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).pause();
    // Pipelined: the second answer cannot be written before the first was read.
    for (let k = 0; k < 4; k++) socket.write(request);
    sockets.push(socket);
    if (i % 20 === 19) await pause(200);
  }
  await pause(5000);
  return async () => {
    for (const socket of sockets) socket.destroy();
    await pause(500);
  };
}

export interface SlowStream {
  /** MiB that left this client while it did not read, and in all. */
  readonly held: number;
  readonly sent: number;
  /** Whether the parts tile what was sent once it reads. */
  readonly whole: boolean;
}

/** Sends so many MiB over a WebSocket without reading, waits, then reads all. */
export async function slowStream(url: string, size: number): Promise<SlowStream> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`);
  const parts: { type: string; start: number; end: number }[] = [];
  socket.on('message', (data: Buffer) => parts.push(JSON.parse(data.toString()) as (typeof parts)[number]));
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
  });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.pause();
  const chunk = sentences(64 * 1024);
  const chunks = size * 16;
  socket.send(JSON.stringify({ type: 'start', ratio: 1 }));
  for (let i = 0; i < chunks; i++) socket.send(JSON.stringify({ type: 'chunk', text: chunk }));
  socket.send(JSON.stringify({ type: 'end' }));
  const sent = socket.bufferedAmount;
  await pause(3000);
  const held = sent - socket.bufferedAmount;
  socket.resume();
  await closed;
  let at = 0;
  for (const { type, start, end } of parts) if (type === 'part' && start === at) at = end;
  const whole = parts.at(-1)?.type === 'done' && at === chunk.length * chunks;
  return { held: held / mebibyte, sent: sent / mebibyte, whole };
}

function sentences(length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i++)
    text += `Pump ${i * 7} of station ${i % 31} moved ${i * 13} litres.${i % 6 === 5 ? '\n\n' : ' '}`;
  return text;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
