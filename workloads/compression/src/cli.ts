// `quintet compress FILE --ratio 8`: the library on a file, no service needed.
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { type Compressed, type CompressOptions, compress } from './compress.ts';
import { CompressionError } from './errors.ts';
import type { TokenizerName } from './tokens.ts';

export interface CompressFlags {
  readonly ratio?: number;
  readonly targetTokens?: number;
  readonly query?: string;
  readonly strategy?: string;
  readonly tokenizer?: TokenizerName;
  /** Print the whole result as JSON instead of the text alone. */
  readonly json?: boolean;
}

export interface CompressOutput {
  /** For standard output. */
  readonly stdout: string;
  /** One line for standard error: what was kept of how much. */
  readonly summary: string;
  readonly result: Compressed;
}

/**
 * Compresses a file, or standard input when `file` is `-`.
 * @throws CompressionError naming the flag that cannot be followed, and what reading the file throws.
 */
export async function compressFile(
  file: string,
  flags: CompressFlags = {},
  stdin: NodeJS.ReadableStream = process.stdin,
): Promise<CompressOutput> {
  const bytes = file === '-' ? await buffer(stdin) : await readFile(file);
  // Replaced bytes would be kept as if the file had said so.
  if (!isUtf8(bytes)) throw new CompressionError('InvalidField', file, 'this is no UTF-8 text');
  const text = bytes.toString('utf8');
  const { json = false, ...rest } = flags;
  const options: CompressOptions = { text, ...rest };
  const result = compress(options);
  const { originalTokens, compressedTokens, strategy, analysis, fidelity, rate } = result;
  const summary = [
    `${originalTokens} → ${compressedTokens} tokens (${result.ratio.toFixed(1)}×)`,
    `${analysis.type}, ${strategy}`,
    ...(fidelity
      ? [
          `kept ${percent(fidelity.numbers)} of numbers, ${percent(fidelity.names)} of names, ${percent(fidelity.negations)} of negations`,
        ]
      : []),
    ...(rate.met ? [] : [rate.reason ?? '']),
  ].join('; ');
  return { stdout: json ? `${JSON.stringify(result, null, 2)}\n` : result.text, summary, result };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
