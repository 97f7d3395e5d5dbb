// Which shared libraries a program loads, asked of the system's own loader.
import { execFileSync } from 'node:child_process';

/** Paths of the libraries, the loader among them, as the program will look for them. */
export function sharedLibraries(program: string, libraryPath?: string): string[] {
  const env = libraryPath ? { ...process.env, LD_LIBRARY_PATH: libraryPath } : process.env;
  return parseLdd(execFileSync('ldd', [program], { encoding: 'utf8', env }));
}

/** @throws when a library is not found. */
export function parseLdd(output: string): string[] {
  const missing = /^\s*(\S+) => not found/m.exec(output);
  if (missing) throw new Error(`shared library ${missing[1]} is not found`);
  return output.split('\n').flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}
