import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  identify,
  isAlive,
  logTail,
  parseStat,
  processesUsing,
  recordedDaemons,
  runningDaemon,
  startDaemon,
  stopDaemon,
} from './process.ts';

describe('daemons', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'quintet-process-'));
  });
  afterEach(async () => {
    for (const name of recordedDaemons(dir)) await stopDaemon(dir, name, 0);
    rmSync(dir, { recursive: true });
  });

  const sleeper = { name: 'sleeper', command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'] };

  test('one that was started is found by its record until it is stopped', async () => {
    const identity = startDaemon(dir, sleeper);
    expect(runningDaemon(dir, 'sleeper')).toEqual(identity);
    await stopDaemon(dir, 'sleeper');
    expect(isAlive(identity)).toBe(false);
    expect(recordedDaemons(dir)).toEqual([]);
    await stopDaemon(dir, 'sleeper');
  });

  test('one that heeds no SIGTERM is killed after its time of grace', async () => {
    const script = "process.on('SIGTERM', () => {}); console.log('deaf'); setInterval(() => {}, 1000)";
    const identity = startDaemon(dir, { name: 'deaf', command: process.execPath, args: ['-e', script] });
    await expect.poll(() => logTail(dir, 'deaf')).toBe('deaf');
    await stopDaemon(dir, 'deaf', 50);
    expect(isAlive(identity)).toBe(false);
  });

  test('a process that was given the id of one that ended is no longer it, and is left alone', async () => {
    const own = identify(process.pid);
    mkdirSync(join(dir, 'run'));
    writeFileSync(join(dir, 'run', 'old.json'), JSON.stringify({ ...own, startTime: '1' }));
    expect(runningDaemon(dir, 'old')).toBeUndefined();
    await stopDaemon(dir, 'old', 0);
    expect(isAlive(own as NonNullable<typeof own>)).toBe(true);
  });

  test('a record cut short by a crash counts as none', () => {
    mkdirSync(join(dir, 'run'));
    writeFileSync(join(dir, 'run', 'cut.json'), '{"pid": 1');
    expect(runningDaemon(dir, 'cut')).toBeUndefined();
  });

  test('one without a record is found by its program and the folder in its arguments', () => {
    const identity = startDaemon(dir, { ...sleeper, args: [...sleeper.args, join(dir, 'data')] });
    const programs = join(process.execPath, '..');
    expect(processesUsing(dir, programs)).toEqual([identity]);
    expect(processesUsing(`${dir}-other`, programs)).toEqual([]);
    expect(processesUsing(dir, '/nowhere')).toEqual([]);
  });

  test('a program that is not there is reported', () => {
    expect(() => startDaemon(dir, { name: 'none', command: '/nowhere/none', args: [] })).toThrow('/nowhere/none');
  });

  test('the start time is read behind a name with brackets and blanks', () => {
    const stat = readFileSync('/proc/self/stat', 'utf8').replace(/\(.*\)/, '(a) b) c)');
    expect(parseStat(stat).startTime).toBe(identify(process.pid)?.startTime);
    expect(parseStat(stat).state).toMatch(/^[RS]$/);
  });
});
