// A real server as a child process on a free loopback port: started, killed without warning, started again at the same port.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestServer {
  readonly port: number;
  readonly directory: string;
  readonly pid: number | undefined;
  /** SIGKILL, as when a node dies; resolves when the process is gone. */
  kill: () => Promise<void>;
  /** Starts it again on the same port and directory; resolves when it accepts connections. */
  start: () => Promise<void>;
  /** Kills it and removes its directory. */
  stop: () => Promise<void>;
}

export interface TestServerOptions {
  name: string;
  binary: string;
  args: (place: { port: number; directory: string }) => string[];
}

export async function startServer(options: TestServerOptions): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), `quintet-${options.name}-`));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const kill = async () => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, 'exit');
    running.kill('SIGKILL');
    await gone;
  };
  const start = async () => {
    const started = spawn(options.binary, options.args({ port, directory }), {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    let complaint = '';
    started.stderr?.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2000)));
    const spawned = new Promise<never>((_, reject) => started.once('error', reject));
    await Promise.race([accepting(port, () => exitOf(started, complaint)), spawned]);
  };
  // A run that ends before its clean-up must not leave servers behind.
  const atExit = () => void child?.kill('SIGKILL');
  process.once('exit', atExit);
  await start();
  return {
    port,
    directory,
    get pid() {
      return child?.pid;
    },
    kill,
    start,
    stop: async () => {
      process.off('exit', atExit);
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * A port of loopback that nobody listened on a moment ago. It lies below the range that the kernel draws from for outgoing
 * connections, so a server that a test stops finds it free again when it starts anew.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = randomInt(10_000, 30_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 100) throw error;
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

function exitOf(child: ChildProcess, complaint: string): string | undefined {
  return child.exitCode === null && child.signalCode === null
    ? undefined
    : `it ended (${child.exitCode ?? child.signalCode}): ${complaint}`;
}

async function accepting(port: number, ended: () => string | undefined): Promise<void> {
  for (const until = Date.now() + 20_000; Date.now() < until; ) {
    const reason = ended();
    if (reason) throw new Error(reason);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing listens on port ${port}`);
}
