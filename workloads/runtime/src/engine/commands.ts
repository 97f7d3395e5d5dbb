// Commands of the controller's healing: a file beside the mounted resource, written by who may write the resource's
// ConfigMap, so nothing else need be proved. Each is carried out once, by the pods it names.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { z } from 'zod';
import { counter, type Registry } from '../metrics.ts';
import { type Watch, watchPath } from '../watch.ts';

const fileName = 'healing.json';
/** The controller keeps those of an hour, sixty at most. */
const fileLimit = 1 << 20;

const command = z.object({
  id: z.string().min(1).max(128),
  at: z.iso.datetime(),
  action: z.string().max(64),
  pods: z.array(z.string().max(253)).max(10_000),
  input: z.unknown().optional(),
});
const document = z.object({ commands: z.array(command).max(1_000) });

export interface CommandsOptions {
  /** The mounted resource; its folder is looked at. */
  file: string;
  /** This pod's name: a container's host name. */
  pod: string;
  actions: Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
  registry: Registry;
  log: Pick<FastifyBaseLogger, 'warn' | 'error'>;
  /** Milliseconds between looks; 2 000 when left out. */
  interval?: number | undefined;
  /** Commands from before are of another process's trouble. The start of this one when left out. */
  since?: number;
}

export async function followCommands(options: CommandsOptions): Promise<Watch> {
  const { pod, actions, registry, log } = options;
  const path = join(dirname(options.file), fileName);
  const since = options.since ?? Date.now();
  const done = new Set<string>();
  const counted = counter(registry, 'quintet_commands_total', 'Commands of healing by outcome.', ['action', 'outcome']);

  const carryOut = async ({ id, action, input }: z.infer<typeof command>): Promise<void> => {
    done.add(id);
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
    try {
      if (!run) throw new Error(`there is no action ${action}`);
      const result = await run(input);
      log.warn({ action, result, command: id }, 'healing');
      counted.inc({ action, outcome: 'done' });
    } catch (error) {
      log.error({ err: error, action, command: id }, 'a command of healing failed');
      // A name that nobody here knows must not become a series.
      counted.inc({ action: run ? action : 'unknown', outcome: 'failed' });
    }
  };
  const read = async (): Promise<void> => {
    const found = await stat(path).catch(() => undefined);
    if (!found) return done.clear();
    if (found.size > fileLimit) throw new Error(`${path} is larger than ${fileLimit} bytes`);
    const { commands } = document.parse(JSON.parse(await readFile(path, 'utf8')));
    for (const id of done) if (!commands.some((each) => each.id === id)) done.delete(id);
    const mine = commands.filter(({ id, at, pods }) => !done.has(id) && pods.includes(pod) && Date.parse(at) > since);
    for (const each of mine) await carryOut(each);
  };
  const onError = (error: unknown) => log.error({ err: error }, 'commands of healing cannot be read');
  const interval = options.interval === undefined ? {} : { interval: options.interval };
  const watch = await watchPath(path, read, { ...interval, onError });
  // One that came between the start of the process and this watch is found, too.
  await read().catch(onError);
  return watch;
}
