import { evolutionRun, parseStored } from '@quintet/crds';
import { expect, it } from 'vitest';
import { shareableSpec, shareableUrl } from './shareable.ts';

it.each([
  ['https://data.test/churn.csv', 'https://data.test/churn.csv'],
  ['https://data.test:8443/churn.csv?X-Amz-Signature=4f1d&v=2#top', 'https://data.test:8443/churn.csv'],
  ['https://ann:secret@data.test/churn.csv', 'https://data.test/churn.csv'],
  ['no address?token=4f1d', 'no address'],
])('the address %s is passed on as %s', (url, passedOn) => expect(shareableUrl(url)).toBe(passedOn));

it('a spec is passed on without the variables of its pods and the signatures of its addresses, and otherwise whole', () => {
  const { spec } = parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'churn', namespace: 'team' },
    spec: {
      dataset: { source: { http: { url: 'https://data.test/a.csv?sig=4f1d' } }, target: 'is it?', task: 'Binary' },
      output: { s3: { bucket: 'models', endpoint: 'https://ann:4f1d@s3.test', prefix: 'a?b' } },
      pod: { env: [{ name: 'TOKEN', value: '4f1d' }] },
    },
  });
  const { pod: _, ...rest } = spec;
  const shared = shareableSpec(spec);
  expect(JSON.stringify(shared)).not.toContain('4f1d');
  expect(shared).toEqual({
    ...rest,
    dataset: { ...spec.dataset, source: { http: { url: 'https://data.test/a.csv' } } },
    output: { s3: { ...spec.output?.s3, endpoint: 'https://s3.test/' } },
  });
});
