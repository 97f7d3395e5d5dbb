// Lines of JSON out of a body of any length, as many in memory as are worked on.
import type { Readable } from 'node:stream';
import { QuintetError } from '@quintet/runtime';

/** Each line as the value that it is; a line that is no JSON as its text, which whoever reads it refuses. */
export async function* linesOf(body: Readable, longest: number): AsyncGenerator {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, end)])
        .toString()
        .trim();
      [rest, length] = [[], 0];
      from = end + 1;
      if (line !== '') yield valueOf(line);
    }
    rest.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > longest) {
      throw new QuintetError('INVALID_REQUEST', { reason: `a line has more than ${longest} bytes`, field: '' });
    }
  }
  const line = Buffer.concat(rest).toString().trim();
  if (line !== '') yield valueOf(line);
}

/** @param weight Of which a batch has little more than `most`; a batch of one may have any. */
export async function* batches<T>(
  values: AsyncIterable<T> | Iterable<T>,
  size: number,
  weight: { readonly most: number; readonly of: (value: T) => number },
): AsyncGenerator<T[]> {
  let batch: T[] = [];
  let weighs = 0;
  for await (const value of values) {
    weighs += weight.of(value);
    if (batch.push(value) < size && weighs < weight.most) continue;
    yield batch;
    [batch, weighs] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

function valueOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
}
