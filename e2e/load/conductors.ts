// Two controllers on an API server of their own, with the controllers of Kubernetes that collect, roll out and finish:
// what a soak needs of a cluster, without a node.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { ensureTools } from '../cluster/tools.ts';
import { Kubectl } from '../kubectl.ts';
import { Heap } from './heap.ts';
import { buildOurs, startOurs } from './operators.ts';

interface Replica {
  name: string;
  process: ChildProcess;
  heap: Heap;
}

/** Nothing is asked of them: no pod runs. */
const stores = {
  QUINTET_REDIS_URL: 'redis://redis.test:6379',
  QUINTET_POSTGRES_URL: 'postgres://quintet@postgres.test/quintet',
};
const lease = ['lease', 'quintet-controller', '-n', 'default'];

export class Conductors {
  readonly api: ApiCluster;
  readonly kubectl: Kubectl;
  readonly #manager: ChildProcess;
  /** Names of those that ended though nobody killed them; another has taken the place of each. */
  readonly ended: string[] = [];
  #replicas: Replica[] = [];
  #started = 0;

  private constructor(api: ApiCluster, manager: ChildProcess) {
    this.api = api;
    this.kubectl = new Kubectl(api);
    this.#manager = manager;
  }

  static async start(say: (line: string) => void): Promise<Conductors> {
    buildOurs();
    const tools = await ensureTools(['kube-controller-manager'], say);
    const api = await startApi({ onProgress: say });
    const controllers = ['garbage-collector', 'deployment', 'replicaset', 'job', 'namespace', 'disruption'];
    const manager = spawn(
      tools['kube-controller-manager'],
      [
        `--kubeconfig=${api.kubeconfig}`,
        `--controllers=${controllers.map((name) => `${name}-controller`).join()}`,
        '--leader-elect=false',
        '--secure-port=0',
        '--kube-api-qps=200',
        '--kube-api-burst=400',
      ],
      { stdio: 'ignore' },
    );
    const conductors = new Conductors(api, manager);
    const { kubectl } = conductors;
    await kubectl.run(['apply', '--server-side', '-f', join(import.meta.dirname, '../../crds/manifests')]);
    await kubectl.run(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await conductors.#add();
    await conductors.#add();
    return conductors;
  }

  async stop(): Promise<void> {
    for (const { process } of this.#replicas.splice(0)) process.kill('SIGKILL');
    this.#manager.kill('SIGKILL');
    await this.api.stop();
  }

  /** SIGKILL to the one that leads; another takes its place as standby. False when none leads just now. */
  async killLeader(): Promise<boolean> {
    const leader = await this.#leader();
    if (!leader) return false;
    this.#replicas = this.#replicas.filter((replica) => replica !== leader);
    leader.process.kill('SIGKILL');
    await once(leader.process, 'exit');
    await this.#add();
    return true;
  }

  /** Heap of the one that leads, after a full collection, in MiB; which one it is. */
  async heap(): Promise<{ name: string; usedMiB: number } | undefined> {
    const leader = await this.#leader();
    return leader && { name: leader.name, usedMiB: await leader.heap.usedMiB() };
  }

  async #leader(): Promise<Replica | undefined> {
    const found = await this.kubectl.find<{ spec: { holderIdentity?: string } }>(lease).catch(() => undefined);
    const holder = found?.spec.holderIdentity?.split('_')[0];
    return this.#replicas.find(({ name }) => name === holder);
  }

  async #add(): Promise<void> {
    const name = `controller-${++this.#started}`;
    const process = startOurs(this.api.kubeconfig, ['--inspect=127.0.0.1:0'], { POD_NAME: name, ...stores });
    const replica = { name, process, heap: await Heap.of(process) };
    this.#replicas.push(replica);
    process.once('exit', () => {
      if (!this.#replicas.includes(replica)) return;
      // As the kubelet does.
      this.ended.push(name);
      this.#replicas = this.#replicas.filter((each) => each !== replica);
      void this.#add();
    });
  }
}
