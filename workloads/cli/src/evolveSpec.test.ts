import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { searchOf } from './evolveSpec.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-spec-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = `
apiVersion: quintet.dev/v1alpha1
kind: EvolutionRun
metadata: {name: churn}
spec:
  dataset: {source: {configMap: {name: churn, key: data.parquet}}, format: Parquet, target: churned, task: Binary, weight: w}
  objective: {metric: F1, inferenceCost: Ignore}
  search: {learners: [Linear], seed: 7}
  validation: {split: Group, groupColumn: customer, folds: 3}
  budget: {time: 10m, evaluations: 40}
`;

function fileOf(text: string): string {
  const file = join(folder, 'spec.yaml');
  writeFileSync(file, text);
  return file;
}

describe('a search by the file of --spec', () => {
  it('is that of the resource, with its defaults rather than those of this machine', () => {
    const { target, task, spec } = searchOf({ out: 'model', spec: fileOf(run) });
    expect([target, task]).toEqual(['churned', 'Binary']);
    expect(spec).toMatchObject({
      dataset: { target: 'churned', task: 'Binary', weight: 'w', maxSize: '2Gi' },
      objective: { metric: 'F1', inferenceCost: 'Ignore' },
      search: { learners: ['Linear'], seed: 7, population: 60 },
      validation: { split: 'Group', groupColumn: 'customer', folds: 3 },
      budget: { time: '10m', evaluations: 40 },
    });
    // The command's file says where the data is.
    expect(spec['dataset']).not.toHaveProperty('source');
    expect(spec['dataset']).not.toHaveProperty('format');
  });

  it('has flags go before it, field by field', () => {
    const flags = { target: 'left', task: 'Multiclass', metric: 'Accuracy', budget: '5s', seed: 1 } as const;
    expect(searchOf({ out: 'model', spec: fileOf(run), ...flags })).toMatchObject({
      target: 'left',
      task: 'Multiclass',
      spec: {
        dataset: { target: 'left', task: 'Multiclass', weight: 'w' },
        objective: { metric: 'Accuracy', inferenceCost: 'Ignore' },
        search: { learners: ['Linear'], seed: 1 },
        budget: { time: '5s', evaluations: 40 },
      },
    });
  });

  it.each([
    ['holds none', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n', /has no resource of quintet\.dev/],
    [
      'is of another kind',
      run.replace('EvolutionRun', 'FieldJob'),
      /spec\.yaml: kind: is FieldJob: an EvolutionRun is needed$/,
    ],
    ['holds two', `${run}---${run}`, /holds 2 EvolutionRuns: one is needed/],
    ['is wrong', run.replace('folds: 3', 'folds: 1'), /spec\.yaml:9:\d+: spec\.validation\.folds: /],
  ])('is refused where the file %s', (_what, text, message) => {
    expect(() => searchOf({ out: 'model', spec: fileOf(text) })).toThrow(message);
  });
});

it('without --spec flags are all there is', () => {
  expect(searchOf({ out: 'model', target: 'y' })).toEqual({
    target: 'y',
    task: undefined,
    spec: { budget: { time: '2m' } },
  });
  expect(() => searchOf({ out: 'model' })).toThrow('--target: name the column to predict, or give --spec');
});
