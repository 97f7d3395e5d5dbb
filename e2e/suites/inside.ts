// Scripts that run inside the cluster by an engine's image, which has Node: once in a pod that serves, or in one of their own.
import { eventually, type Kubectl } from '../kubectl.ts';

/** Runs a script in a pod's engine. @returns what it wrote to standard output, as JSON. */
export async function inside<T>(kubectl: Kubectl, namespace: string, target: string, script: string): Promise<T> {
  const args = ['exec', target, '-n', namespace, '-c', 'engine', '--', 'node', '--input-type=module', '-e', script];
  return JSON.parse(await kubectl.run(args, { timeoutMs: 60_000 })) as T;
}

/** For scripts, `patiently(url, init)`: `Ready` is said of a pod; the node's rules for its Service follow a moment later, and until then they refuse. */
export const patiently = `
  const patiently = async (url, init) => {
    for (let tries = 1; ; tries++) {
      try {
        return await fetch(url, { ...init, signal: AbortSignal.timeout(30000) });
      } catch (error) {
        if (!['ECONNREFUSED', 'EHOSTUNREACH'].includes(error.cause?.code) || tries > 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  };`;

/** One request to a service from a pod that serves. */
export function ask<T>(
  kubectl: Kubectl,
  { namespace, from, url, body }: { namespace: string; from: string; url: string; body?: object },
): Promise<{ status: number; body: T }> {
  const init = body
    ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    : {};
  const script = `${patiently}
    const answer = await patiently(${JSON.stringify(url)}, ${JSON.stringify(init)});
    const text = await answer.text();
    console.log(JSON.stringify({ status: answer.status, body: text === '' ? null : JSON.parse(text) }));`;
  return inside(kubectl, namespace, from, script);
}

/** What runs one container as the strictest namespaces admit it. */
export const strictPod = (container: object) => ({
  restartPolicy: 'Never',
  automountServiceAccountToken: false,
  terminationGracePeriodSeconds: 0,
  securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      ...container,
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    },
  ],
});

export interface Client<T> {
  /** The last line that it wrote, as JSON. */
  latest: () => Promise<T>;
  /** Waits for its end. @returns its last line. */
  ended: () => Promise<T>;
}

/** Starts a pod that runs a script; the script reports in lines of JSON. */
export async function startClient<T>(
  kubectl: Kubectl,
  { namespace, name, image, script }: { namespace: string; name: string; image: string; script: string },
): Promise<Client<T>> {
  const container = {
    name: 'client',
    image,
    command: ['node', '--input-type=module', '-e', script],
    resources: { requests: { cpu: '20m', memory: '64Mi' } },
  };
  const spec = strictPod(container);
  await kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec }));
  const log = (lines: number) => kubectl.run(['logs', name, '-n', namespace, `--tail=${lines}`]);
  const latest = async () => {
    const line = (await log(1)).trim();
    if (line === '') throw new Error(`${name} has said nothing yet`);
    return JSON.parse(line) as T;
  };
  await eventually(`${name} says its first`, latest, { timeoutMs: 90_000 });
  const ended = async () => {
    await eventually(
      `${name} ends`,
      async () => {
        const { status } = await kubectl.json<{ status: { phase: string } }>(['get', 'pod', name, '-n', namespace]);
        if (status.phase === 'Failed') throw new Error(`it failed: ${await log(20)}`);
        return status.phase === 'Succeeded';
      },
      { timeoutMs: 180_000, everyMs: 1000, describe: () => log(1) },
    );
    return await latest();
  };
  return { latest, ended };
}

/** The image that a resource's pods run. */
export async function imageOf(kubectl: Kubectl, namespace: string, name: string): Promise<string> {
  const args = ['get', 'pods', '-n', namespace, '-l', `quintet.dev/name=${name}`];
  const { items } = await kubectl.json<{ items: { spec: { containers: { image: string }[] } }[] }>(args);
  const image = items[0]?.spec.containers[0]?.image;
  if (!image) throw new Error(`${name} has no pod`);
  return image;
}

/**
 * Ends a pod with SIGKILL after a second, whatever it is doing. Not by force: the name would be free before its processes are gone, and two PostgreSQL
 * servers on one volume lose what either acknowledged.
 */
export async function kill(kubectl: Kubectl, namespace: string, pod: string): Promise<void> {
  await kubectl.run(['delete', 'pod', pod, '-n', namespace, '--grace-period=1', '--wait=false']);
}
