// EndpointSlices: the one through which activators stand in for the pods of a Service, and how slices are read.
import type { KubeObject } from '../kube/types.ts';
import { childMeta } from './meta.ts';

export interface Endpoint {
  addresses: string[];
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
  targetRef?: { name?: string; uid?: string };
}

export interface EndpointSlice extends KubeObject {
  addressType: string;
  endpoints?: Endpoint[] | null;
  ports?: { name?: string; port?: number; protocol?: string; appProtocol?: string }[] | null;
}

/** Which Service a slice belongs to: Kubernetes' own label. */
export const labelOfService = 'kubernetes.io/service-name';
const labelOfWriter = 'endpointslice.kubernetes.io/managed-by';
const writer = 'quintet.dev';
/** Namespace and name of the activators' own Service: whose port the slice names. */
export const annotationOfActivator = 'quintet.dev/activator';

export interface Front {
  /** Of activators that take the Service's traffic; none: the pods do alone. */
  addresses: readonly string[];
  /** On which the activators listen for this one Service. */
  port: number;
  /** The activators' Service: NAMESPACE/NAME. */
  activator: string;
}

/** Adds activators to the endpoints of the Service `serviceName`. */
export function activatorSlice(owner: KubeObject, name: string, serviceName: string, front: Front): EndpointSlice {
  const { labels, ...meta } = childMeta(owner, name, 'activator');
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...meta,
      labels: { ...labels, [labelOfService]: serviceName, [labelOfWriter]: writer },
      annotations: { [annotationOfActivator]: front.activator },
    },
    // Fixed once made: a cluster of the other family alone has Services of that family, and activators too.
    addressType: front.addresses.some((address) => address.includes(':')) ? 'IPv6' : 'IPv4',
    endpoints: [...front.addresses]
      .sort()
      .map((address) => ({ addresses: [address], conditions: { ready: true, serving: true, terminating: false } })),
    ports: [{ name: 'http', port: front.port, protocol: 'TCP', appProtocol: 'http' }],
  };
}

/** What a slice of `activatorSlice` says; undefined for any other. */
export function frontOf(slice: EndpointSlice | undefined): Front | undefined {
  const activator = slice?.metadata.annotations?.[annotationOfActivator];
  const port = slice?.ports?.[0]?.port;
  if (!slice || activator === undefined || port === undefined) return undefined;
  if (slice.metadata.labels?.[labelOfWriter] !== writer) return undefined;
  return { activator, port, addresses: (slice.endpoints ?? []).flatMap(({ addresses }) => addresses) };
}

/** Endpoints that take new connections. */
export const readyEndpoints = (slice: EndpointSlice): Endpoint[] =>
  (slice.endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false && !conditions?.terminating);
