// From EndpointSlices to what an activator does: on which port it stands in for which Service, and where its pods are.
import { type EndpointSlice, frontOf, labelOfService } from '../objects/endpointslice.ts';

export interface Backend {
  /** As URLs have it: IPv6 in brackets. */
  host: string;
  port: number;
  /** Kubernetes sends it traffic. */
  isReady: boolean;
}

export interface Route {
  /** NAMESPACE/NAME of the Service. */
  service: string;
  port: number;
  /** Ready ones, and those that may soon be; what ends is left out. */
  backends: Backend[];
}

/**
 * @param activator NAMESPACE/NAME of the activators' own Service: slices of other installations are none of ours.
 * @returns By port. Should two slices name the same port, the older one has it.
 */
export function routesOf(slices: Iterable<EndpointSlice>, activator: string): Map<number, Route> {
  const backends = new Map<string, Backend[]>();
  const fronts: { service: string; port: number; since: string }[] = [];
  for (const slice of slices) {
    const service = serviceOf(slice);
    if (service === undefined) continue;
    const front = frontOf(slice);
    if (!front) append(backends, service, backendsOf(slice));
    else if (front.activator === activator)
      fronts.push({ service, port: front.port, since: slice.metadata.creationTimestamp ?? '' });
  }
  const routes = new Map<number, Route>();
  for (const { service, port } of fronts.sort((a, b) =>
    `${a.since} ${a.service}` < `${b.since} ${b.service}` ? -1 : 1,
  )) {
    if (!routes.has(port)) routes.set(port, { service, port, backends: backends.get(service) ?? [] });
  }
  return routes;
}

function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[labelOfService];
  return name === undefined ? undefined : `${metadata.namespace ?? ''}/${name}`;
}

function backendsOf({ endpoints, ports }: EndpointSlice): Backend[] {
  const port = ports?.find(({ name }) => name === 'http')?.port;
  if (port === undefined) return [];
  return (endpoints ?? []).flatMap(({ addresses, conditions }) => {
    const [address] = addresses;
    if (address === undefined || conditions?.terminating) return [];
    return [{ host: address.includes(':') ? `[${address}]` : address, port, isReady: conditions?.ready !== false }];
  });
}

function append(to: Map<string, Backend[]>, service: string, more: readonly Backend[]): void {
  const known = to.get(service);
  if (known) known.push(...more);
  else to.set(service, [...more]);
}
