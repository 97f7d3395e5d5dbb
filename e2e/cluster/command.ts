// Short-lived commands: run to their end, their output given back, their failure explained.
import { execFile } from 'node:child_process';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  input?: string;
}

/** @returns standard output. @throws with the command and what it wrote to standard error. */
export function run(command: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const { cwd, env = process.env, timeoutMs = 120_000, input } = options;
  return new Promise((resolve, reject) => {
    const settings = { env, timeout: timeoutMs, maxBuffer: 64 << 20, ...(cwd ? { cwd } : {}) };
    const child = execFile(command, args, settings, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
    });
    if (input !== undefined) child.stdin?.end(input);
  });
}

/** As `run`, for commands whose failure is an answer: undefined then. */
export async function tryRun(command: string, args: string[], options?: CommandOptions): Promise<string | undefined> {
  try {
    return await run(command, args, options);
  } catch {
    return undefined;
  }
}
