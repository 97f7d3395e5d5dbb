// What is done where a namespace is being deleted. It waits for its pods, and a pod may wait for a Job that keeps it
// until it is replaced, which such a namespace refuses: neither ends unless somebody deletes the Job.
import type { Client } from '../kube/client.ts';
import { ApiError, isConflict, isNotFound } from '../kube/errors.ts';
import { ownerIndex } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Watcher } from '../kube/watcher.ts';
import { BlockedError } from './errors.ts';

/** The API server refused to make something, for its namespace is being deleted. */
export function isRefusedByNamespace(error: unknown): boolean {
  return error instanceof ApiError && error.status === 403 && error.causes.includes('NamespaceTerminating');
}

/** @throws ApiError: refused by the namespace, if it is being deleted. Asks only; nothing is written. */
export async function askNamespace(client: Client, type: ResourceType, { metadata }: KubeObject): Promise<void> {
  const { name, namespace } = metadata;
  try {
    await client.create(type, { metadata: { name, ...(namespace && { namespace }) } }, { dryRun: true });
  } catch (error) {
    // That the name is taken, a quota is used up or the server is away says nothing of the namespace.
    if (isRefusedByNamespace(error) || !(error instanceof ApiError)) throw error;
  }
}

/** Deletes the owner's children of these watches, and answers what to report. */
export async function endChildren(
  client: Client,
  watchers: readonly Watcher[],
  { metadata }: KubeObject,
): Promise<BlockedError> {
  const ended: string[] = [];
  for (const { store, type } of watchers) {
    for (const child of store.by(ownerIndex, metadata.uid ?? '')) {
      const { uid = '', name, deletionTimestamp } = child.metadata;
      if (deletionTimestamp) continue;
      await client.delete(type, child.metadata, { uid, propagation: 'Background' }).catch((error: unknown) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
      ended.push(`${type.kind} ${name}`);
    }
  }
  const what = ended.length > 0 ? `; ended ${ended.join(', ')}, so that its pods can go` : '';
  return new BlockedError('NamespaceTerminating', `namespace ${metadata.namespace} is being deleted${what}`);
}
