import { expect, it } from 'vitest';
import { parseStored } from '../parse.ts';
import { partAsking } from './evolutionchange.ts';
import { evolutionRun } from './evolutionrun.ts';

const specWith = (spec: object) =>
  parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'churn', namespace: 'team' },
    spec: {
      dataset: { source: { configMap: { name: 'data', key: 'csv' } }, target: 'y', task: 'Binary' },
      promotion: { mode: 'Champion', serving: {} },
      ...spec,
    },
  }).spec;
const plain = specWith({});
const dataset = (member: object) => ({ dataset: { ...plain.dataset, ...member } });
const promotion = (member: object) => ({ promotion: { ...plain.promotion, ...member } });

it.each([
  ['another seed', 'a search', { search: { seed: 8 } }],
  ['another target', 'a search', dataset({ target: 'z' })],
  ['a longer budget', 'a search', { budget: { time: '2h' } }],
  ['more memory for an evaluation', 'a search', { evaluation: { memoryLimit: '1Gi' } }],
  ['another name of the model', 'a search', promotion({ model: 'faults' })],
  ['another way to promote', 'a result', promotion({ mode: 'Challenger', weight: '30%' })],
  ['a place for its files', 'a result', { output: { s3: { bucket: 'models' } } }],
  ['another team', 'a result', { share: ['billing'] }],
  ['more tries of an evaluation', 'pods', { evaluation: { retries: 5 } }],
  ['a larger file', 'pods', dataset({ maxSize: '4Gi' })],
  ['another queue', 'pods', { queue: { redis: { secretRef: { name: 'redis' } } } }],
  ['another registry', 'pods', { registry: { postgres: { secretRef: { name: 'postgres' } } } }],
  ['longer caches', 'pods', { caches: { evaluation: '48h' } }],
  ['more memory', 'pods', { resources: { limits: { memory: '8Gi' } } }],
  ['other nodes', 'pods', { scheduling: { nodeSelector: { disk: 'fast' } } }],
  ['labels', 'pods', { pod: { labels: { team: 'a' } } }],
  ['more replicas of predictions', 'nothing', promotion({ serving: { replicas: 3 } })],
  ['tokens of predictions', 'nothing', promotion({ serving: { auth: { secretRef: { name: 'tokens' } } } })],
  ['more workers', 'nothing', { workers: { min: 1, max: 9 } }],
  ['a rest', 'nothing', { suspend: true, activeDeadline: '9h', ttlAfterFinished: '1h' }],
])('%s asks for %s', (_, asked, change) => {
  const changed = specWith(change);
  const reached = (['Pods', 'Result', 'Search'] as const).filter(
    (least) => JSON.stringify(partAsking(changed, least)) !== JSON.stringify(partAsking(plain, least)),
  );
  expect(['nothing', 'pods', 'a result', 'a search'][reached.length]).toBe(asked);
});
