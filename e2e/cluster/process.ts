// Daemons that outlive the process that starts them. Each leaves a record of its id and start time, so that a later run
// can tell it from a stranger that was given the same id, and never signals the stranger.
import { spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot at which the process began: /proc/PID/stat, field 22. */
  startTime: string;
  /** A process id and start time repeat after a reboot; the boot's id does not. */
  bootId: string;
}

export interface Daemon {
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
}

/** Starts `daemon`; its record goes to `dir`/run, its output is appended to `dir`/logs. */
export function startDaemon(dir: string, daemon: Daemon): ProcessIdentity {
  mkdirSync(join(dir, 'run'), { recursive: true });
  mkdirSync(join(dir, 'logs'), { recursive: true });
  const log = openSync(logPath(dir, daemon.name), 'a', 0o600);
  try {
    const child = spawn(daemon.command, daemon.args, {
      cwd: dir,
      detached: true,
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', HOME: dir, ...daemon.env },
      stdio: ['ignore', log, log],
    });
    // A failed spawn shows as a missing process; the error itself would otherwise end this process.
    child.on('error', () => undefined);
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (!identity) throw new Error(`cannot start ${daemon.command}: see ${logPath(dir, daemon.name)}`);
    writeFileSync(recordPath(dir, daemon.name), JSON.stringify(identity));
    return identity;
  } finally {
    closeSync(log);
  }
}

function logPath(dir: string, name: string): string {
  return join(dir, 'logs', `${name}.log`);
}

/** The last lines of a daemon's log, for error messages. */
export function logTail(dir: string, name: string, lines = 15): string {
  try {
    return readFileSync(logPath(dir, name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}

/** The recorded daemon when it still runs, else undefined. */
export function runningDaemon(dir: string, name: string): ProcessIdentity | undefined {
  const record = readRecord(dir, name);
  return record && isAlive(record) ? record : undefined;
}

/** Names of all recorded daemons, running or not. */
export function recordedDaemons(dir: string): string[] {
  try {
    return readdirSync(join(dir, 'run'))
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length));
  } catch {
    return [];
  }
}

/** Ends a recorded daemon: SIGTERM, then SIGKILL after `graceMs` (0: SIGKILL at once). Returns when it has ended. */
export async function stopDaemon(dir: string, name: string, graceMs = 5_000): Promise<void> {
  const identity = runningDaemon(dir, name);
  if (identity) await endProcess(identity, graceMs);
  rmSync(recordPath(dir, name), { force: true });
}

/** As `stopDaemon`, for any process that was identified before. */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    signal(identity, 'SIGTERM');
    // A stopped process takes SIGTERM only once it continues.
    signal(identity, 'SIGCONT');
    if (await waitUntilEnded(identity, graceMs)) return;
  }
  signal(identity, 'SIGKILL');
  if (!(await waitUntilEnded(identity, 15_000))) throw new Error(`process ${identity.pid} does not end on SIGKILL`);
}

/** Sends a signal, only if the process is still the one that was identified. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId;
}

/** Undefined when there is no such process, or only its unreaped remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const { state, startTime } = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    // The first thread of a killed process may be a remains while others still hold its ports and files.
    const ended = (state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length <= 1;
    return ended ? undefined : { pid, startTime, bootId: bootId() };
  } catch {
    return undefined;
  }
}

/** State and start time out of /proc/PID/stat; the command's name in it may hold spaces and brackets. */
export function parseStat(stat: string): { state: string; startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

/**
 * Processes whose program lies under `programs` and whose arguments name `dir`: also those that no record names,
 * such as containerd's shims or a daemon whose starter was killed before it wrote the record.
 */
export function processesUsing(dir: string, programs: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const program = readlinkSync(`/proc/${entry}/exe`);
      const args = readFileSync(`/proc/${entry}/cmdline`, 'utf8');
      const identity = identify(Number(entry));
      if (identity && program.startsWith(`${programs}/`) && args.includes(`${dir}/`)) found.push(identity);
    } catch {
      // Ended meanwhile, or another user's.
    }
  }
  return found;
}

async function waitUntilEnded(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

function readRecord(dir: string, name: string): ProcessIdentity | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(dir, name), 'utf8')) as Partial<ProcessIdentity>;
    const { pid, startTime, bootId: boot } = record;
    return typeof pid === 'number' && startTime && boot ? { pid, startTime, bootId: boot } : undefined;
  } catch {
    return undefined;
  }
}

function recordPath(dir: string, name: string): string {
  return join(dir, 'run', `${name}.json`);
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
