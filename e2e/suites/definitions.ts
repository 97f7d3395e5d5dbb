// The definitions of all kinds on an API server, from the moment that it serves them.
import { category, kinds } from '@quintet/crds';
import { eventually, type Kubectl } from '../kubectl.ts';

/** Once definitions were applied. `Established` is said of one before the server's handlers and its discovery have heard of it. */
export async function areServed(kubectl: Kubectl): Promise<void> {
  await kubectl.run(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  await eventually('all kinds are served', async () => {
    const known = await kubectl.run(['api-resources', '--categories', category, '-o', 'name']);
    if (known.trim().split('\n').length < kinds.length) return false;
    // Answers only when each of them does.
    await kubectl.run(['get', category, '--all-namespaces']);
    return true;
  });
}
