import { describe, expect, test } from 'vitest';
import { affinity } from './affinity.ts';

const targets = (...weights: number[]) => weights.map((weight, i) => ({ name: `server-${i}`, weight, running: 0 }));
const voice = 'You write for a brand of lamps. '.repeat(20);

describe('a prompt goes', () => {
  test('to the server that has most of its beginning', () => {
    const routes = affinity();
    const [a, b, c] = targets(1, 1, 1) as [{ name: string; weight: number; running: number }, never, never];
    routes.sent(b, voice);
    routes.sent(c, `${voice}${'Brief: a desk lamp. '.repeat(10)}`);
    expect(routes.order([a, b, c], `${voice}${'Brief: a desk lamp. '.repeat(10)}And more`)[0]).toBe(c);
    expect(routes.order([a, b], `${voice}Something else`)[0]).toBe(b);
  });

  test('the same way from every gateway where none has it, and by weight', () => {
    const servers = targets(3, 1);
    const first = Array.from({ length: 400 }, (_, i) => affinity().order(servers, `${i} prompt`)[0]?.name);
    expect(Array.from({ length: 400 }, (_, i) => affinity().order(servers, `${i} prompt`)[0]?.name)).toEqual(first);
    const share = first.filter((name) => name === 'server-0').length / first.length;
    expect(share).toBeGreaterThan(0.65);
    expect(share).toBeLessThan(0.85);
  });

  test('elsewhere when its server leaves, and the others stay where they are', () => {
    const servers = targets(1, 1, 1, 1);
    const left = servers.slice(0, 3);
    const prompts = Array.from({ length: 200 }, (_, i) => `${i} prompt`);
    const stay = prompts.filter((prompt) => affinity().order(servers, prompt)[0] !== servers[3]);
    expect(stay.length).toBeGreaterThan(100);
    expect(stay.filter((prompt) => affinity().order(left, prompt)[0] !== affinity().order(servers, prompt)[0])).toEqual(
      [],
    );
  });

  test('to one that has less to do, where its own has more than a quarter over its share', () => {
    const routes = affinity();
    const servers = targets(1, 1, 1, 1);
    for (let i = 0; i < 100; i++) {
      const [best] = routes.order(servers, voice);
      if (!best) throw new Error('none');
      routes.sent(best, voice);
      best.running++;
    }
    // One beginning alone: what is hot fills all, none by much more than another.
    for (const { running } of servers) {
      expect(running).toBeGreaterThanOrEqual(15);
      expect(running).toBeLessThanOrEqual(32);
    }
  });
});

test('no more is remembered than may be', () => {
  const routes = affinity(4);
  const [a, b] = targets(1, 1) as [{ name: string; weight: number; running: number }, never];
  const other = routes.order([a, b], voice)[0] === a ? b : a;
  routes.sent(other, voice.slice(0, 128));
  expect(routes.order([a, b], voice)[0]).toBe(other);
  for (let i = 0; i < 4; i++) routes.sent(a, `${i} another`);
  expect(routes.order([a, b], voice)[0]).not.toBe(other);
});
