import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { costAwareOrder } from './order.ts';

const step = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    name: fc.nat(15),
    size: fc.integer({ min: 1, max: 50 }),
    cost: fc.integer({ min: 1, max: 100 }),
  }),
  fc.record({ do: fc.constant('touch' as const), name: fc.nat(15) }),
  fc.record({ do: fc.constant('delete' as const), name: fc.nat(15) }),
  fc.record({ do: fc.constant('evict' as const) }),
);

test('gives up the entry of least frequency × cost / size, with age, like the plain definition does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const order = costAwareOrder<number>();
      const model = new Map<number, { size: number; cost: number; frequency: number; priority: number }>();
      /** Priority of the entry that was chosen, and the least one there was. */
      const chosen: [number | undefined, number][] = [];
      let age = 0;
      const rank = (item: { size: number; cost: number; frequency: number }) =>
        age + (item.frequency * item.cost) / item.size;
      for (const each of steps) {
        if (each.do === 'set') {
          const item = { size: each.size, cost: each.cost, frequency: (model.get(each.name)?.frequency ?? 0) + 1 };
          model.set(each.name, { ...item, priority: rank(item) });
          order.set(each.name, each.size, each.cost);
        } else if (each.do === 'touch') {
          const item = model.get(each.name);
          if (item) {
            item.frequency += 1;
            item.priority = rank(item);
          }
          order.touch(each.name);
        } else if (each.do === 'delete') {
          model.delete(each.name);
          order.delete(each.name);
        } else {
          const victim = order.least();
          const least = Math.min(...[...model.values()].map((item) => item.priority));
          chosen.push([victim === undefined ? Number.POSITIVE_INFINITY : model.get(victim)?.priority, least]);
          if (victim !== undefined) {
            age = Math.max(age, least);
            order.delete(victim);
            model.delete(victim);
          }
        }
        expect(order.size).toBe(model.size);
        expect(order.bytes).toBe([...model.values()].reduce((sum, item) => sum + item.size, 0));
      }
      for (const [priority, least] of chosen) expect(priority).toBe(least);
    }),
  );
});
