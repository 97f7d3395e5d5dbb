#!/usr/bin/env node
// Starts the command line: the built one where there is a build, else the sources as they are. Node 24 is needed; where an
// older one was called, the one that the packages brought takes over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, 'dist', 'main.js');
const source = join(root, 'src', 'main.ts');
const fromSource = existsSync(source);
// npx ends on SIGTERM with the shell that it started this in, and passes nothing on: nobody is left who would see a result. Of other shells that
// go away the work goes on, as with nohup.
const parent = process.ppid;
const underNpx = process.env.npm_command === 'exec';
const major = Number(process.versions.node.split('.')[0]);

if (major < 24 || (fromSource && !process.execArgv.includes('--conditions=source'))) {
  const node = major < 24 ? bundledNode() : process.execPath;
  if (!node) {
    console.error(`quintet needs Node 24 or newer; this is ${process.versions.node}. Run "npm ci", which brings one, or install it.`);
    process.exit(1);
  }
  const flags = fromSource ? ['--conditions=source', '--disable-warning=ExperimentalWarning'] : [];
  const child = spawn(node, [...flags, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, QUINTET_STARTED: 'true' },
  });
  if (underNpx) whenOrphaned(() => child.kill('SIGTERM'));
  // A terminal sends Ctrl-C to both: the one that computes decides what becomes of it, and takes two at once for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  child.once('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal ? constants.signals[signal] : 0);
  });
} else {
  if (underNpx || process.env.QUINTET_STARTED) whenOrphaned(() => process.kill(process.pid, 'SIGTERM'));
  await import(pathToFileURL(fromSource ? source : built).href);
}

/** Calls back once the process that started this one is gone. */
function whenOrphaned(callback) {
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, 500);
  timer.unref();
}

/** The Node of the optional packages node-OS-CPU. */
function bundledNode() {
  const { platform, arch } = process;
  try {
    const home = dirname(createRequire(import.meta.url).resolve(`node-${platform === 'win32' ? 'win' : platform}-${arch}/package.json`));
    const node = join(home, 'bin', platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}
