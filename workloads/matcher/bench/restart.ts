// How long a pod takes from the start of its process to right answers: from PostgreSQL, from its snapshot after a drain
// and after a kill with changes since, and with a snapshot that is damaged.
import { readFile, writeFile } from 'node:fs/promises';
import { type Row, row } from '../../runtime/src/bench/table.ts';
import { ask } from './client.ts';
import { type Deployment, deploy, matchesOf, type Pod, startPod } from './deployment.ts';

/** Changes between the snapshot and the restart. */
const changes = 1000;

export async function restart(quick: boolean): Promise<Row[]> {
  const count = quick ? 50_000 : 1_000_000;
  const deployment = await deploy(count);
  try {
    const rows: Row[] = [];
    const told = (name: string, pod: Pod, target?: number) =>
      rows.push(
        row(
          {
            bench: 'matcher',
            case: `restart: ${name}`,
            size: `${count.toLocaleString('en')} items`,
            metric: 'process start to ready',
            unit: 's',
            better: 'lower',
            ours: pod.seconds,
            peers: {},
          },
          target === undefined ? {} : { absolute: target },
        ),
      );
    let wrong = 0;
    const check = async (pod: Pod, gone: readonly number[] = [], there: readonly string[] = []) => {
      wrong += await wrongAnswers(deployment, pod, gone, there);
    };

    let pod = await startPod(deployment, 'pod');
    told('all from PostgreSQL', pod);
    await check(pod);
    await pod.end('SIGTERM');

    pod = await startPod(deployment, 'pod');
    told('snapshot written at SIGTERM', pod, 3);
    await check(pod);
    await ask('PUT', `${pod.url}/api/v1/items/item-7/state`, { state: 'Disabled' });
    const items = Array.from({ length: changes }, (_, i) => ({ id: `new-${i}`, hash: hashOf(i) }));
    await importAll(pod, items);
    await pod.end('SIGKILL');

    pod = await startPod(deployment, 'pod');
    told(`snapshot and ${changes.toLocaleString('en')} changes since, after SIGKILL`, pod, 3);
    const there = items.map(({ hash }) => hash);
    await check(pod, [7], there);
    await pod.end('SIGTERM');

    const bytes = await readFile(pod.snapshot);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    await writeFile(pod.snapshot, bytes);
    pod = await startPod(deployment, 'pod');
    told('snapshot damaged by one bit, so from PostgreSQL', pod);
    await check(pod, [7], there);
    await pod.end('SIGTERM');
    rows.push(
      row(
        {
          bench: 'matcher',
          case: 'restart: answers after each',
          size: '200 hashes of the items, and all changed',
          metric: 'wrong',
          unit: '',
          better: 'lower',
          ours: wrong,
          peers: {},
        },
        { absolute: 0 },
      ),
    );
    return rows;
  } finally {
    await deployment.stop();
  }
}

/** Of items all over the record, of some that must be silent and of some that must be there. */
async function wrongAnswers(
  { hashes }: Deployment,
  pod: Pod,
  gone: readonly number[],
  there: readonly string[],
): Promise<number> {
  const hex = (item: number) => Buffer.from(hashes.subarray(32 * item, 32 * item + 32)).toString('hex');
  const count = hashes.length / 32;
  let wrong = 0;
  for (let i = 0; i < 200; i++) {
    const item = Math.floor((i * count) / 200);
    if (!(await matchesOf(pod, hex(item))).includes(`item-${item}`)) wrong++;
  }
  for (const item of gone) if ((await matchesOf(pod, hex(item))).includes(`item-${item}`)) wrong++;
  for (const [i, hash] of there.entries()) if (!(await matchesOf(pod, hash)).includes(`new-${i}`)) wrong++;
  return wrong;
}

async function importAll(pod: Pod, items: readonly object[]): Promise<void> {
  const response = await fetch(`${pod.url}/api/v1/items/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: items.map((item) => JSON.stringify(item)).join('\n'),
  });
  const last = (await response.text()).trim().split('\n').at(-1) ?? '';
  const { added } = JSON.parse(last) as { added: number };
  if (added !== items.length) throw new Error(`of ${items.length} items ${added} were added`);
}

/** Far from each other and from those of the record. */
function hashOf(seed: number): string {
  let state = (seed + 1) * 0x9e3779b9;
  let text = '';
  while (text.length < 64) {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b) + 0x6d2b79f5;
    text += ((state ^ (state >>> 13)) >>> 0).toString(16).padStart(8, '0');
  }
  return text;
}
