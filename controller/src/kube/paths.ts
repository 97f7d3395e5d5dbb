// URLs of the Kubernetes API.
import type { ResourceType } from './types.ts';

export interface Reference {
  namespace?: string | undefined;
  name: string;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** `/apis/apps/v1/namespaces/a/deployments/web/status`; without `name` the collection, without `namespace` all of them. */
export function resourcePath(type: ResourceType, namespace?: string, name?: string, subresource?: string): string {
  let path = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  if (type.namespaced && namespace) path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${type.plural}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

export function withQuery(path: string, query: Query): string {
  let separator = '?';
  let result = path;
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    result += `${separator}${name}=${encodeURIComponent(value)}`;
    separator = '&';
  }
  return result;
}

export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** `namespace/name`, the key of every cache and queue here; cluster-scoped objects start with a slash. */
export function keyOf(metadata: { namespace?: string; name: string }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
