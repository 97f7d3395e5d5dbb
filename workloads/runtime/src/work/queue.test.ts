import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { QuintetError } from '../errors.ts';
import { boundedQueue, priorities } from './queue.ts';

const arrival = fc.record({
  priority: fc.constantFrom(...priorities),
  tenant: fc.constantFrom('a', 'b', 'c'),
  deadline: fc.option(fc.integer({ min: 1, max: 50 }), { nil: Number.POSITIVE_INFINITY }),
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('push' as const), item: arrival }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tick' as const), by: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), at: fc.nat(20) }) },
);

describe('a bounded queue', () => {
  test('ends every item exactly once, whatever happens: taken, dropped, removed, refused or still waiting', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        let clock = 0;
        const queue = boundedQueue<number>({ name: 'q', maxSize: 6, maxPerTenant: 4, now: () => clock });
        const ends = new Map<number, string[]>();
        const waiting = new Map<number, ReturnType<typeof queue.push>>();
        let next = 0;
        for (const each of steps) {
          if (each.do === 'tick') clock += each.by;
          if (each.do === 'push') {
            const id = next++;
            ends.set(id, []);
            const end = (how: string) => {
              ends.get(id)?.push(how);
              waiting.delete(id);
            };
            try {
              waiting.set(
                id,
                queue.push({
                  ...each.item,
                  deadline: clock + each.item.deadline,
                  value: id,
                  drop: (error) => end(error.code),
                }),
              );
            } catch (error) {
              end((error as QuintetError).code);
            }
          }
          if (each.do === 'pop') {
            const item = queue.pop();
            if (item) {
              ends.get(item.value)?.push(item.deadline > clock ? 'taken' : 'taken too late');
              waiting.delete(item.value);
            }
          }
          if (each.do === 'remove') {
            const item = [...waiting.values()][each.at];
            if (item) {
              if (queue.remove(item)) ends.get(item.value)?.push('removed');
              if (queue.remove(item)) ends.get(item.value)?.push('removed again');
              waiting.delete(item.value);
            }
          }
          expect(queue.size).toBe(waiting.size);
          expect(queue.size).toBeLessThanOrEqual(6);
          const counts = Object.values(queue.countByPriority()).reduce((sum, count) => sum + count, 0);
          expect(counts).toBe(queue.size);
        }
        for (const [id, how] of ends) {
          expect(how.length + (waiting.has(id) ? 1 : 0)).toBe(1);
          expect(how).not.toContain('taken too late');
        }
      }),
    );
  });

  test('takes the higher priority first, then the earlier deadline, then the earlier arrival', () => {
    const queue = boundedQueue<string>({ name: 'q', now: () => 0 });
    const drop = () => undefined;
    queue.push({ value: 'low', priority: 'Low', drop });
    queue.push({ value: 'later deadline', deadline: 20, drop });
    queue.push({ value: 'first without deadline', drop });
    queue.push({ value: 'second without deadline', drop });
    queue.push({ value: 'earlier deadline', deadline: 10, drop });
    queue.push({ value: 'high', priority: 'High', drop });
    const order = Array.from({ length: 6 }, () => queue.pop()?.value);
    expect(order).toEqual([
      'high',
      'earlier deadline',
      'later deadline',
      'first without deadline',
      'second without deadline',
      'low',
    ]);
  });

  test('gives a low priority its turn among endless high ones', () => {
    const queue = boundedQueue<string>({ name: 'q' });
    queue.push({ value: 'patient', priority: 'Low', drop: () => undefined });
    for (let at = 0; at < 20; at++) queue.push({ value: 'urgent', priority: 'High', drop: () => undefined });
    expect(Array.from({ length: 8 }, () => queue.pop()?.value)).toContain('patient');
  });

  test('sheds the least urgent for a more urgent one, and says when to come back', () => {
    const queue = boundedQueue<string>({ name: 'q', maxSize: 2 }, () => 7);
    const dropped: QuintetError[] = [];
    queue.push({ value: 'a', drop: (error) => dropped.push(error) });
    queue.push({ value: 'b', priority: 'Low', drop: (error) => dropped.push(error) });
    queue.push({ value: 'c', priority: 'High', drop: (error) => dropped.push(error) });
    expect(dropped.map((error) => [error.code, error.status, error.retryAfter])).toEqual([['OVERLOADED', 503, 7]]);
    expect(() => queue.push({ value: 'd', drop: () => undefined })).toThrow(
      expect.objectContaining({ code: 'OVERLOADED', retryAfter: 7 }),
    );
  });

  test('refuses one tenant with 429 while others still find room', () => {
    const queue = boundedQueue<string>({ name: 'q', maxSize: 10, maxPerTenant: 2 });
    const push = (tenant: string) => queue.push({ value: '', tenant, drop: () => undefined });
    push('a');
    push('a');
    expect(() => push('a')).toThrow(expect.objectContaining({ code: 'TENANT_QUEUE_FULL', status: 429 }));
    push('b');
    expect(queue.size).toBe(3);
  });

  test('shares by weight: tenants that both wait are served in proportion, within one item of each', () => {
    const costs = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 40, maxLength: 60 });
    fc.assert(
      fc.property(costs, costs, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (ofA, ofB, a, b) => {
        const weights: Record<string, number> = { a, b };
        const queue = boundedQueue<string>({ name: 'q', weightOf: (tenant) => weights[tenant] ?? 1 });
        const drop = () => undefined;
        for (const cost of ofA) queue.push({ value: 'a', tenant: 'a', cost, drop });
        for (const cost of ofB) queue.push({ value: 'b', tenant: 'b', cost, drop });
        const left = { a: ofA.length, b: ofB.length };
        const served = { a: 0, b: 0 };
        // Every eighth place goes to who waited longest: seven at a time show the shares alone.
        for (let pops = 0; pops < 7 && left.a > 1 && left.b > 1; pops++) {
          const item = queue.pop();
          const tenant = item?.value === 'a' ? 'a' : 'b';
          left[tenant] -= 1;
          served[tenant] += item?.cost ?? 0;
        }
        expect(Math.abs(served.a / a - served.b / b)).toBeLessThanOrEqual(20 / a + 20 / b);
      }),
    );
  });

  test('does not let a flood of one tenant delay the first item of another, with weights', () => {
    const queue = boundedQueue<string>({ name: 'q', weightOf: () => 1 });
    for (let at = 0; at < 500; at++) queue.push({ value: 'flood', tenant: 'a', drop: () => undefined });
    queue.pop();
    queue.push({ value: 'single', tenant: 'b', drop: () => undefined });
    expect([queue.pop()?.value, queue.pop()?.value]).toContain('single');
  });
});
