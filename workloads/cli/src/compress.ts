// `quintet compress`: a file or standard input, shorter, on standard output.
import { stat } from 'node:fs/promises';
import { type CompressFlags, compressFile } from '@quintet/compression/cli';
import { guarded } from './guarded.ts';

/** Beyond it a person would wonder whether anything happens. */
const slowBytes = 16 * 2 ** 20;

/** @returns the exit code. The text alone goes to standard output, what was kept of it to standard error. */
export function compressCommand(file: string, flags: CompressFlags): Promise<number> {
  return guarded(async () => {
    const size = file === '-' ? 0 : (await stat(file)).size;
    if (size > slowBytes) console.error(`compressing ${Math.round(size / 2 ** 20)} MiB, a few seconds for each ten…`);
    const { stdout, summary } = await compressFile(file, flags);
    process.stdout.write(stdout);
    console.error(summary);
  });
}
