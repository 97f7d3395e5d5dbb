// Files that people write: what is read, and what they are told about mistakes.
import { describe, expect, test } from 'vitest';
import { InvalidResourceError, type Issue } from './parse.ts';
import { maxFileBytes, parseUserFile } from './userfile.ts';

const bead = `apiVersion: quintet.dev/v1alpha1
kind: FieldJob
metadata:
  name: bead
spec:
  array:
    grid: {}
  targets:
    - name: bead
      position: [0mm, 0mm, 60mm]
  volume: {center: [0mm, 0mm, 60mm], size: [80mm, 80mm, 80mm]}
  output: {persistentVolumeClaim: {claimName: fields}}
`;
const claim = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: fields}
`;

function issuesOf(text: string): readonly Issue[] {
  try {
    parseUserFile(text, 'job.yaml');
  } catch (error) {
    if (error instanceof InvalidResourceError) return error.issues;
    throw error;
  }
  throw new Error('the file was accepted');
}

function messageOf(text: string): string {
  try {
    parseUserFile(text, 'job.yaml');
  } catch (error) {
    return String(error instanceof Error ? error.message : error);
  }
  return '';
}

test('a resource is read with its defaults; documents of others and empty ones are passed over', () => {
  const [job, ...rest] = parseUserFile(`# a comment\n---\n${claim}---\n${bead}---\n`, 'job.yaml');
  expect(rest).toEqual([]);
  expect(job).toMatchObject({
    kind: 'FieldJob',
    metadata: { name: 'bead' },
    spec: { mode: 'Batch', volume: { spacing: '0.5mm' } },
  });
});

test('several resources of one file keep their order', () => {
  const service = 'apiVersion: quintet.dev/v1alpha1\nkind: CompressionService\nmetadata: {name: notes}\nspec: {}\n';
  expect(parseUserFile(`${service}---\n${bead}`, 'job.yaml').map(({ kind }) => kind)).toEqual([
    'CompressionService',
    'FieldJob',
  ]);
});

describe('a mistake is told with file, line, column, field and fix', () => {
  const cases: Readonly<Record<string, { text: string; want: string }>> = {
    'an unknown field, with the nearest known one': {
      text: bead.replace('grid: {}', 'grid: {pitsh: 10mm}'),
      want: 'job.yaml:7:12: spec.array.grid.pitsh: unknown field; did you mean pitch?',
    },
    'an unknown field that is near to none': {
      text: bead.replace('grid: {}', 'grid: {colour: red}'),
      want: 'job.yaml:7:12: spec.array.grid.colour: unknown field; fields here are rows, columns, pitch',
    },
    'a number without unit': {
      text: bead.replace('60mm]\n  volume', '60]\n  volume'),
      want: 'job.yaml:10:28: spec.targets[0].position[2]: must be a length such as 10.5mm (units um, mm, cm, m)',
    },
    'a word that is none of the choices': {
      text: bead.replace('  targets:', '  backend: Cpu\n  targets:'),
      want: 'job.yaml:8:3: spec.backend: is not a value of this field; use one of Auto, GPU, CPU, Reference',
    },
    'a missing field, where its parent stands': {
      text: bead.replace('center: [0mm, 0mm, 60mm], ', ''),
      want: 'job.yaml:11:3: spec.volume.center: is required: must be three values [x, y, z]',
    },
    'a rule over several fields': {
      text: bead.replace('  targets:', '  shards: {parallelism: {min: 9}}\n  targets:'),
      want: 'job.yaml:8:26: spec.shards.parallelism.min: min must not exceed max',
    },
    'a number out of bounds': {
      text: bead.replace('grid: {}', 'grid: {rows: 1000}'),
      want: 'job.yaml:7:12: spec.array.grid.rows: must be at most 256',
    },
    'a wrong type': {
      text: bead.replace('grid: {}', 'grid: 16'),
      want: 'job.yaml:7:5: spec.array.grid: must be a map',
    },
    'a kind that does not exist': {
      text: bead.replace('FieldJob', 'Fieldjob'),
      want: 'job.yaml:2:1: kind: "Fieldjob" is not a kind of quintet.dev; use one of EvolutionRun, CompressionService, MatcherPool, FieldJob, CopyEngine',
    },
    'a version that does not exist': {
      text: bead.replace('v1alpha1', 'v1'),
      want: 'job.yaml:1:1: apiVersion: must be quintet.dev/v1alpha1',
    },
    'no name': {
      text: bead.replace('  name: bead\nspec', '  labels: {team: 7}\nspec'),
      want: 'job.yaml:3:1: metadata.name: is required',
    },
    'a label that is a number': {
      text: bead.replace('  name: bead\nspec', '  name: bead\n  labels: {team: 7}\nspec'),
      want: 'job.yaml:5:12: metadata.labels.team: must be a string; write it in quotes',
    },
    'a name that is too long': {
      text: bead.replace('name: bead\nspec', `name: ${'b'.repeat(53)}\nspec`),
      want: 'job.yaml:4:3: metadata.name: metadata.name must be at most 52 characters: children add suffixes to it',
    },
    'text that is no YAML': { text: `${bead}  zones: [1, 2\n`, want: 'job.yaml:14:1: not YAML: Flow sequence' },
    'a key that stands twice': {
      text: bead.replace('    grid: {}', '    grid: {}\n    grid: {}'),
      want: 'job.yaml:8:5: not YAML: Map keys must be unique',
    },
    'a list where a resource should be': {
      text: '- a\n',
      want: 'job.yaml:1:1: must be a map with apiVersion, kind, metadata and spec',
    },
    'no resource of ours': { text: claim, want: 'job.yaml: has no resource of quintet.dev' },
    'nothing at all': { text: '', want: 'job.yaml: has no resource of quintet.dev' },
    'a file that is too large': { text: `# ${'x'.repeat(maxFileBytes)}`, want: 'job.yaml: is larger than 4 MiB' },
  };

  test.each(Object.entries(cases).map(([title, each]) => ({ title, ...each })))('$title', ({ text, want }) => {
    expect(messageOf(text)).toContain(want);
  });
});

test('lines are counted over all documents of a file', () => {
  const [issue] = issuesOf(`${claim}---\n${bead.replace('grid: {}', 'grod: {}')}`);
  expect(issue).toMatchObject({ file: 'job.yaml', line: 11, column: 5, path: ['spec', 'array', 'grod'] });
});

test('every mistake of a file is told at once', () => {
  const text = bead.replace('grid: {}', 'grid: {rows: 0, pitch: 1}').replace('name: fields', 'name: Fields');
  expect(issuesOf(text).map(({ path }) => path.join('.'))).toEqual(
    expect.arrayContaining(['spec.array.grid.rows', 'spec.array.grid.pitch']),
  );
});

test('bare words and dates mean what they mean to kubectl', () => {
  const dated = bead.replace(
    '  name: bead\nspec',
    '  name: bead\n  labels: {release: 2026-11-20, at: 10:30, "on": "yes"}\nspec',
  );
  const [job] = parseUserFile(`${dated}  suspend: yes\n`, 'job.yaml');
  expect(job?.spec.suspend).toBe(true);
  expect(job?.metadata.labels).toEqual({ release: '2026-11-20', at: '10:30', on: 'yes' });
  expect(messageOf(bead.replace('- name: bead', '- name: on'))).toContain(
    'job.yaml:9:7: spec.targets[0].name: must be a name of lower-case letters, digits and "-", such as team-a; write it in quotes: YAML takes the bare word for true',
  );
});

test.each([
  ['brackets', '['.repeat(100_000)],
  ['maps', `${bead.slice(0, bead.indexOf('spec:'))}spec: ${'{a: '.repeat(20_000)}1${'}'.repeat(20_000)}`],
  ['lists', `${'- '.repeat(20_000)}x`],
])('%s without end are refused', (_, text) => {
  const issues = issuesOf(text);
  expect(issues.length).toBeGreaterThan(0);
  expect(issues.length).toBeLessThanOrEqual(101);
});

test('aliases that multiply are refused, not expanded', () => {
  const layers = Array.from(
    { length: 12 },
    (_, index) => `l${index + 1}: &l${index + 1} [${Array(10).fill(`*l${index}`).join(', ')}]`,
  );
  expect(messageOf(`l0: &l0 [x]\n${layers.join('\n')}\n`)).toContain('Excessive alias count');
});
