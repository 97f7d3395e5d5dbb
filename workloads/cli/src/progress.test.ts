import { expect, it } from 'vitest';
import { ProgressBar } from './progress.ts';

function screen(isTTY: boolean) {
  const lines: string[] = [];
  return { isTTY, lines, write: (text: string) => lines.push(text) };
}

it('redraws a bar on a terminal, at most ten times a second', () => {
  const terminal = screen(true);
  let now = 0;
  const bar = new ProgressBar(terminal, () => now);
  for (const done of [0, 10, 20]) bar.show(done, 100, 10);
  now = 200;
  bar.show(50, 100, 10);
  bar.end();
  expect(terminal.lines).toHaveLength(3);
  expect(terminal.lines[1]).toMatch(/^\r\[█{16}░{16}\] 50% {2}50 of 100 points, 10\/s, 5 s left/);
  expect(terminal.lines[2]).toBe('\n');
});

it('writes a line now and then where there is no terminal, and always the last', () => {
  const log = screen(false);
  let now = 0;
  const bar = new ProgressBar(log, () => now);
  for (let done = 0; done <= 100; done += 10) {
    bar.show(done * 1e4, 1e6, 2e5);
    now += 1000;
  }
  bar.end();
  expect(log.lines).toEqual([
    '0%  0 of 1.00 M points, 200 k/s, 5 s left\n',
    '50%  500 k of 1.00 M points, 200 k/s, 3 s left\n',
    '100%  1.00 M of 1.00 M points, 200 k/s\n',
  ]);
});

it('tells what is done where nobody knows how much is left, once that has lasted', () => {
  for (const [isTTY, want] of [
    [true, ['\r200 tokens written\u001b[K', '\r5100 tokens written\u001b[K', '\n']],
    [false, ['5100 tokens written\n']],
  ] as const) {
    const out = screen(isTTY);
    let now = 0;
    const bar = new ProgressBar(out, () => now);
    for (now of [0, 50, 200, 250, 5100]) bar.tell(`${now} tokens written`);
    bar.end();
    expect(out.lines).toEqual(want);
  }
});
