// The command behind `make cluster-up` and its siblings. Progress goes to standard error, answers to standard output.
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startApi } from './api.ts';
import { clusterNames, readCluster, removeCluster, sweepOrphans, withCluster } from './clusters.ts';
import { buildImage } from './images.ts';
import { collectLogs } from './logs.ts';
import { clusterDir } from './paths.ts';
import { recordedDaemons, runningDaemon } from './process.ts';
import { startCluster } from './provider.ts';

const USAGE = `usage: main.ts COMMAND [--name NAME]
  up [--api-only]        start the cluster, or take the running one; prints the path of its kubeconfig
  down                   end it and remove it; its logs are kept
  status                 what clusters there are and what runs of them
  logs [--out DIR]       gather logs and objects in DIR (build/cluster-logs/NAME)
  load-images [IMAGE…]   build the staged images (build/images/IMAGE) and load them`;

const progress = (line: string) => console.error(line);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string' },
      out: { type: 'string' },
      'api-only': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [command, ...rest] = positionals;
  const { name = 'quintet' } = values;
  if (values.help) console.log(USAGE);
  else if (command === 'up') console.log(await up(name, values['api-only']));
  else if (command === 'down') await withCluster(name, () => removeCluster(name));
  else if (command === 'status') await printStatus(values.name);
  else if (command === 'logs') await gather(name, resolve(values.out ?? `build/cluster-logs/${name}`));
  else if (command === 'load-images') await loadImages(name, rest);
  else throw new Error(USAGE);
}

async function up(name: string, apiOnly: boolean): Promise<string> {
  const options = { name, keep: true, onProgress: progress };
  const { kubeconfig } = apiOnly ? await startApi(options) : await startCluster(options);
  return kubeconfig;
}

async function printStatus(only: string | undefined): Promise<void> {
  await sweepOrphans();
  const names = clusterNames().filter((name) => only === undefined || name === only);
  if (names.length === 0) console.log(only === undefined ? 'no cluster' : `no cluster is called ${only}`);
  for (const name of names) {
    const dir = clusterDir(name);
    const daemons = recordedDaemons(dir);
    const ended = daemons.filter((daemon) => !runningDaemon(dir, daemon));
    const state = ended.length === 0 ? 'running' : `broken (ended: ${ended.join(', ')})`;
    console.log(`${name}\t${readCluster(name)?.kind ?? 'unknown'}\t${state}\t${join(dir, 'kubeconfig')}`);
  }
}

async function gather(name: string, folder: string): Promise<void> {
  await collectLogs(name, folder);
  console.log(folder);
}

async function loadImages(name: string, wanted: string[]): Promise<void> {
  const staged = join(import.meta.dirname, '..', '..', 'build', 'images');
  const names = wanted.length > 0 ? wanted : existsSync(staged) ? readdirSync(staged).sort() : [];
  if (names.length === 0) throw new Error('no image is staged in build/images (make images)');
  const cluster = await startCluster({ name, keep: true, onProgress: progress });
  for (const image of names) {
    const built = await buildImage({ name: image, onProgress: progress });
    await cluster.loadImage(built);
    console.log(built.reference);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
