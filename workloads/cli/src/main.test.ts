import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/quintet.js', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the command; `when` its standard error holds a text, it is sent SIGINT: its whole group, as a terminal does, or it alone. */
async function quintet(args: string[], when?: string, whom: 'group' | 'alone' = 'group'): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.out += text;
  });
  let sent = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.err += text;
    if (when === undefined || sent || !ended.err.includes(when)) return;
    sent = true;
    process.kill(whom === 'group' ? -child.pid! : child.pid!, 'SIGINT');
  });
  ended.code = await new Promise((done) => child.once('close', done));
  return ended;
}

function write(name: string, yaml: string): string {
  writeFileSync(join(folder, name), yaml);
  return name;
}

const job = (changes = '', spacing = '1mm') => `apiVersion: quintet.dev/v1alpha1
kind: FieldJob
metadata: {name: bead}
spec:
  array: {grid: {rows: 8, columns: 8}}
  targets: [{name: bead, position: [0mm, 0mm, 50mm], trap: Twin}]
  volume: {center: [0mm, 0mm, 50mm], size: [20mm, 20mm, 20mm], spacing: ${spacing}}
  output: {persistentVolumeClaim: {claimName: fields}}
${changes}`;

describe('quintet run', { timeout: 60_000 }, () => {
  it('computes the YAML that a cluster takes, and finds it whole the second time', async () => {
    const file = write('job.yaml', job());
    const first = await quintet(['run', file, '--out', 'first']);
    expect(first).toMatchObject({
      code: 0,
      out: expect.stringMatching(/bead +[\d.]+kPa[^]*9.26 k in[^]*NotLimited[^]*slice-0-xz-pressure.png/),
    });
    expect(first.err).toMatch(/100%/);
    const again = await quintet(['run', file, '--out', 'first', '--json']);
    const result = JSON.parse(again.out) as { output: { summary: string } };
    expect(existsSync(join(folder, 'first', result.output.summary))).toBe(true);
  });

  it('is interrupted by Ctrl-C with 130, and goes on to the same bytes', async () => {
    const file = write('long.yaml', job('  method: DirectSum\n', '0.2mm'));
    const stopped = await quintet(['run', file, '--out', 'long'], 'points');
    expect(stopped).toMatchObject({ code: 130, err: expect.stringMatching(/goes on from there/) });
    expect(existsSync(join(folder, 'long/summary.json'))).toBe(false);
    expect(await quintet(['run', file, '--out', 'long'], 'points', 'alone')).toMatchObject({ code: 130 });
    expect((await quintet(['run', file, '--out', 'long'])).code).toBe(0);
    await quintet(['run', file, '--out', 'whole']);
    const checksum = (name: string): unknown =>
      (JSON.parse(readFileSync(join(folder, name, 'summary.json'), 'utf8')) as { checksum: unknown }).checksum;
    expect(checksum('long')).toBe(checksum('whole'));
  });

  it('reads an array from a ConfigMap in the same file', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `    ${(i % 6) * 0.01},${Math.floor(i / 6) * 0.01},0`);
    const map = `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: places}\ndata:\n  places.csv: |\n    x,y,z\n${rows.join('\n')}\n`;
    const custom = job().replace(
      '{grid: {rows: 8, columns: 8}}',
      '{type: Custom, custom: {configMap: {name: places, key: places.csv}}}',
    );
    expect((await quintet(['run', write('custom.yaml', custom + map), '--out', 'custom'])).code).toBe(0);
    const missing = await quintet(['run', write('missing.yaml', custom), '--out', 'missing']);
    expect(missing).toMatchObject({ code: 2, err: expect.stringMatching(/spec.array.custom.*ConfigMap places/) });
  });

  it.each([
    { title: 'YAML that is none', yaml: 'a: [1\n', err: /bad.yaml:\d+:\d+: not YAML/ },
    {
      title: 'a field that is none',
      yaml: job('  volum: 3\n'),
      err: /bad.yaml:9:3: spec.volum: unknown field; did you mean volume\?/,
    },
    {
      title: 'no FieldJob',
      yaml: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
      err: /has no resource of quintet.dev/,
    },
    {
      title: 'several without a name',
      yaml: `${job()}---\n${job().replace('name: bead}', 'name: other}')}`,
      err: /choose one by --name/,
    },
    {
      title: 'a limit that is broken',
      yaml: job('  safety: {maxPressure: 10Pa}\n'),
      err: /SafetyLimitExceeded: spec.safety.*10Pa/,
    },
  ])('ends with 2 and the place for $title', async ({ yaml, err }) => {
    expect(await quintet(['run', write('bad.yaml', yaml), '--out', 'bad'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(err),
    });
  });

  it('ends with 2 for wrong usage, and with 75 where it cannot write', async () => {
    expect(await quintet(['run'])).toMatchObject({ code: 2, err: expect.stringMatching(/--help/) });
    write('file', '');
    expect(await quintet(['run', write('job.yaml', job()), '--out', 'file/out'])).toMatchObject({
      code: 75,
      err: expect.stringMatching(/OutputUnwritable/),
    });
    expect(await quintet(['run', 'job.yaml', '--out', 'file'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is a file/),
    });
    expect(await quintet(['run', 'job.yaml', '--out', ''])).toMatchObject({ code: 2 });
    expect(await quintet(['run', 'none.yaml', '--out', 'x'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no such file/),
    });
  });

  it('gives up where folders cannot be made at all, instead of trying for ever', async () => {
    expect(await quintet(['run', write('job.yaml', job()), '--out', '/proc/quintet/out'])).toMatchObject({
      code: 75,
      err: expect.stringMatching(/^OutputUnwritable: --out: [^\n]*ENOENT[^\n]*\n$/),
    });
  });
});
