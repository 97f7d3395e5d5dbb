import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

const program = new URL('./fixtures/job.ts', import.meta.url).pathname;

async function run(steps: number, signalAfter?: string) {
  const env = {
    ...process.env,
    QUINTET_CONFIG: '/nonexistent',
    QUINTET_CONFIG__STEPS: String(steps),
    QUINTET_CONFIG__SERVER: JSON.stringify({ host: '127.0.0.1', port: 0, drainDelay: '0ms' }),
  };
  const child = spawn(process.execPath, ['--conditions=source', program], { env });
  let output = '';
  let told = false;
  const read = (chunk: Buffer) => {
    output += chunk.toString();
    if (signalAfter === undefined || !output.includes(signalAfter) || told) return;
    told = true;
    child.kill('SIGTERM');
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, counted: output.match(/"msg":"counted"/g)?.length ?? 0, output };
}

test('a job that is through ends its process with 0', async () => {
  expect(await run(3)).toMatchObject({ code: 0, counted: 3 });
});

test('a job that fails ends its process with 1 and the reason', async () => {
  expect(await run(20)).toMatchObject({
    code: 1,
    counted: 12,
    output: expect.stringContaining('thirteen is not counted'),
  });
});

test('a job that is told to stop stops between two steps, and does not pass for a success', async () => {
  const { code, counted } = await run(100_000, '"step":5');
  expect(code).toBe(143);
  expect(counted).toBeLessThan(100_000);
});
