// Whether a Docker engine answers. The client alone, without an engine, is no use.
import { tryRun } from './command.ts';

let answer: Promise<boolean> | undefined;

export function hasDockerEngine(): Promise<boolean> {
  answer ??= tryRun('docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 10_000 }).then(
    (version) => version !== undefined && version.trim() !== '',
  );
  return answer;
}
