// The file of the embedding's model on a mounted volume: which variant a precision means, and its digest, checked.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QuintetError } from '@quintet/runtime';

export type Precision = 'FP32' | 'FP16' | 'INT8';

export interface ModelFile {
  readonly path: string;
  /** SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/** Names of a variant in a folder, as exporters give them; the model in full precision stands in for one that is missing. */
const variants: Readonly<Record<Precision, readonly string[]>> = {
  FP32: ['model.onnx', 'model_fp32.onnx'],
  FP16: ['model_fp16.onnx'],
  INT8: ['model_int8.onnx', 'model_quantized.onnx'],
};

/** In a folder, the first that is there. */
export function namesOf(precision: Precision): string[] {
  return [...new Set([...variants[precision], ...variants.FP32])];
}

/**
 * @param path A file, or a folder with a file for each precision.
 * @throws QuintetError `MODEL_MISSING`, or `MODEL_DAMAGED` when its digest is not the one expected.
 */
export async function findModel(path: string, precision: Precision, expected?: string): Promise<ModelFile> {
  const file = await chosen(path, precision);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const sha256 = hash.digest('hex');
  if (expected !== undefined && sha256 !== expected.toLowerCase()) {
    throw new QuintetError('MODEL_DAMAGED', { uri: `file:${file}`, actual: sha256, expected });
  }
  return { path: file, sha256 };
}

async function chosen(path: string, precision: Precision): Promise<string> {
  const info = await stat(path).catch((error: unknown) => {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new QuintetError('MODEL_MISSING', { uri: `file:${path}`, reason });
  });
  if (info.isFile()) return path;
  const names = namesOf(precision);
  for (const name of names) {
    const file = await stat(join(path, name)).catch(() => undefined);
    if (file?.isFile()) return join(path, name);
  }
  throw new QuintetError('MODEL_MISSING', { uri: `file:${path}`, reason: `it has none of ${names.join(', ')}` });
}
