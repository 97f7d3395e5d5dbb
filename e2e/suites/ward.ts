// A service as its healer sees it, on this machine: real engine processes for pods, the real healer over their real pages,
// and what it decides carried to them as the reconcile and the kubelet would. Only the clock runs faster.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AnyDefinition } from '@quintet/crds';
import { freePort } from '@quintet/runtime/testing';
import { Healer } from '../../controller/src/autoscaling/healer.ts';
import { Scraper } from '../../controller/src/autoscaling/scrape.ts';
import { commandsData } from '../../controller/src/kinds/serving/healing.ts';
import { Cache } from '../../controller/src/kube/store.ts';
import type { KubeObject } from '../../controller/src/kube/types.ts';
import type { EventNote } from '../../controller/src/reconcile/events.ts';
import { resourceIndex, resourceIndexValue } from '../../controller/src/reconcile/ownership.ts';
import { eventually } from '../kubectl.ts';

export interface WardOptions {
  definition: AnyDefinition;
  spec: Record<string, unknown>;
  /** Of workloads/. */
  engine: string;
  /** What the engine of a pod reads: serial numbers begin at 0. */
  configOf: (serial: number) => Promise<Record<string, unknown>> | Record<string, unknown>;
  pods?: number;
  /** For the processes of engines. */
  env?: Record<string, string>;
}

interface Place {
  url: string;
  child: ChildProcess;
  folder: string;
}

const caches = () => new Cache({ [resourceIndex]: resourceIndexValue });

export class Ward {
  readonly events: EventNote[] = [];
  readonly #options: WardOptions;
  readonly #port: number;
  readonly #pods = caches();
  readonly #resources = caches();
  readonly #places = new Map<string, Place>();
  readonly #healer: Healer;
  #serial = 0;
  #version = 0;
  /** Ahead of engines' clocks, for they carry out what is younger than they are. */
  #now = Date.now() + 3_600_000;

  private constructor(options: WardOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.#healer = new Healer({
      kinds: [{ definition: options.definition, resources: this.#resources }],
      pods: this.#pods,
      configMaps: caches(),
      scraper: new Scraper(),
      replace: async ({ metadata: { name } }) => {
        await this.#end(name);
        await this.#begin();
      },
      onChange: () => undefined,
      onEvent: (_resource, note) => this.events.push(note),
      now: () => this.#now,
      port,
    });
  }

  static async open(options: WardOptions): Promise<Ward> {
    const ward = new Ward(options, await freePort());
    const { apiVersion, kind } = { apiVersion: 'quintet.dev/v1alpha1', kind: options.definition.kind };
    ward.#put(ward.#resources, { apiVersion, kind, metadata: { name: 'ward', uid: 'u1' }, spec: options.spec });
    for (let i = 0; i < (options.pods ?? 1); i++) await ward.#begin();
    return ward;
  }

  /** Of the pods that run, as a Service would send to them in turn. */
  get urls(): string[] {
    return [...this.#places.values()].map(({ url }) => url);
  }

  get podNames(): string[] {
    return [...this.#places.keys()];
  }

  /** A look each half minute, of which `everyMs` pass here, and `until` comes; what was decided reaches the engines between. */
  async looks(count: number, everyMs: number, until?: () => Promise<void>): Promise<void> {
    for (let i = 0; i < count; i++) {
      await Promise.all([sleep(everyMs), until?.()]);
      this.#now += 30_000;
      await this.#healer.look();
      const healing = this.#healer.of(this.#options.definition.kind, 'team/ward', 'u1');
      for (const { folder } of this.#places.values()) {
        const [text] = Object.values(commandsData(healing, undefined));
        if (text !== undefined) writeFileSync(join(folder, 'healing.json'), text);
      }
    }
  }

  /** Until an engine, which looks for commands every 2 s, has carried out one that was written. */
  async carriesOut(pod: string, action: string): Promise<void> {
    const done = new RegExp(`^quintet_commands_total\\{action="${action}",outcome="done"\\} [1-9]`, 'm');
    const page = () => this.page(pod);
    await eventually(`${pod} carries out ${action}`, async () => done.test(await page()), {
      timeoutMs: 30_000,
      describe: page,
    });
  }

  async page(pod: string): Promise<string> {
    const response = await fetch(`${this.#places.get(pod)?.url}/metrics`);
    return await response.text();
  }

  async close(): Promise<void> {
    await this.#healer.stop();
    for (const name of this.podNames) await this.#end(name);
  }

  #put(cache: Cache, object: Record<string, unknown> & { metadata: object }): void {
    const metadata = { namespace: 'team', resourceVersion: String(++this.#version), ...object.metadata };
    cache.put({ apiVersion: 'v1', kind: 'Any', ...object, metadata } as unknown as KubeObject);
  }

  async #begin(): Promise<void> {
    const serial = this.#serial++;
    const name = `ward-${serial}`;
    const folder = mkdtempSync(join(tmpdir(), 'quintet-ward-'));
    // All pods answer on one port: each has an address of its own, as in a cluster.
    const host = `127.0.0.${2 + serial}`;
    const config = join(folder, 'config.json');
    const server = { host, port: this.#port, drainDelay: '0s' };
    const own = await this.#options.configOf(serial);
    writeFileSync(config, JSON.stringify({ server, logging: { level: 'error' }, ...own }));
    const main = fileURLToPath(new URL(`../../workloads/${this.#options.engine}`, import.meta.url));
    const env = {
      ...process.env,
      ...this.#options.env,
      QUINTET_CONFIG: config,
      QUINTET_RESOURCE: join(folder, 'resource.json'),
      HOSTNAME: name,
    };
    const child = spawn(process.execPath, ['--conditions=source', main, 'serve'], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const url = `http://${host}:${this.#port}`;
    this.#places.set(name, { url, child, folder });
    while (
      !(await fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      await sleep(100);
    }
    const labels = {
      'quintet.dev/kind': this.#options.definition.kind,
      'quintet.dev/name': 'ward',
      'app.kubernetes.io/component': 'engine',
    };
    const status = { phase: 'Running', podIP: host, conditions: [{ type: 'Ready', status: 'True' }] };
    this.#put(this.#pods, { metadata: { name, uid: name, labels }, status });
  }

  async #end(name: string): Promise<void> {
    const place = this.#places.get(name);
    if (!place) return;
    this.#places.delete(name);
    this.#pods.remove(`team/${name}`);
    const gone = once(place.child, 'exit');
    place.child.kill('SIGKILL');
    await gone;
    rmSync(place.folder, { recursive: true, force: true });
  }
}
