import { expect, it } from 'vitest';
import { Milestones } from './milestones.ts';

it('tells what was known then to whoever asked before, and what is known now to whoever asks later', async () => {
  const milestones = new Milestones('nothing');
  expect(await milestones.when(0)).toBe('nothing');
  const third = milestones.when(3);
  for (const count of [1, 2, 3, 4]) milestones.reach(count, `${count} placed`);
  expect(await third).toBe('3 placed');
  expect(await milestones.when(2)).toBe('4 placed');
});

it('leaves nobody waiting when the search ends', async () => {
  const milestones = new Milestones(0);
  const never = milestones.when(5);
  milestones.end();
  expect(await never).toBeUndefined();
});
