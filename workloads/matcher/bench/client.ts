// A client that costs little beside what it measures: one connection to each request under way, kept open.
import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A connection that the server closed while it was idle is no failure: then it is sent once more, as clients do. */
export async function send(
  method: string,
  url: string,
  body: string | Uint8Array = '',
  type = 'application/json',
): Promise<Answer> {
  try {
    return await sendOnce(method, url, body, type);
  } catch (error) {
    if (!(error as { reused?: boolean }).reused) throw error;
    return await sendOnce(method, url, body, type);
  }
}

async function sendOnce(method: string, url: string, body: string | Uint8Array, type: string): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-length': Buffer.byteLength(body), ...(body.length > 0 && { 'content-type': type }) };
    const sent = request(url, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
      response.on('error', reject);
    });
    sent.on('error', (error) => reject(Object.assign(error, { reused: sent.reusedSocket })));
    sent.end(body);
  });
}

/** @throws Error of any answer but a good one. */
export async function ask<T>(method: string, url: string, body?: unknown): Promise<T> {
  const { status, text } = await send(method, url, body === undefined ? '' : JSON.stringify(body));
  if (status >= 300) throw new Error(`${method} ${url}: ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text === '' ? 'null' : text) as T;
}
