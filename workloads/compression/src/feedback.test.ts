import { describe, expect, test } from 'vitest';
import { Feedback } from './feedback.ts';

function seen(scores: Record<string, number>, times: number): Feedback {
  const feedback = new Feedback();
  for (let i = 0; i < times; i++) {
    for (const [strategy, score] of Object.entries(scores)) feedback.observe('prose', 8, strategy, score);
  }
  return feedback;
}

describe('feedback', () => {
  test('prefers a strategy that kept clearly more', () => {
    expect(seen({ extractive: 0.4, hierarchical: 0.5 }, 10).prefer('prose', 8, 'extractive')).toBe('hierarchical');
  });

  test('does not change its mind for little, or after few observations', () => {
    expect(seen({ extractive: 0.4, hierarchical: 0.41 }, 10).prefer('prose', 8, 'extractive')).toBeUndefined();
    expect(seen({ extractive: 0.4, hierarchical: 0.9 }, 3).prefer('prose', 8, 'extractive')).toBeUndefined();
  });

  test('keeps types and ratios apart', () => {
    const feedback = seen({ extractive: 0.4, hierarchical: 0.5 }, 10);
    expect(feedback.prefer('code', 8, 'extractive')).toBeUndefined();
    expect(feedback.prefer('prose', 32, 'extractive')).toBeUndefined();
    expect(feedback.prefer('prose', 7, 'extractive')).toBe('hierarchical');
  });

  test('goes on from what was persisted', () => {
    const state = JSON.parse(JSON.stringify(seen({ extractive: 0.4, ensemble: 0.6 }, 10).state)) as Feedback['state'];
    expect(new Feedback(state).prefer('prose', 8, 'extractive')).toBe('ensemble');
  });
});
