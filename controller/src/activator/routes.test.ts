import { describe, expect, it } from 'vitest';
import { activatorSlice, type EndpointSlice } from '../objects/endpointslice.ts';
import { routesOf } from './routes.ts';

const owner = (name: string) => ({
  apiVersion: 'quintet.dev/v1alpha1',
  kind: 'CompressionService',
  metadata: { name, namespace: 'team', uid: name },
});
const front = (name: string, port = 20_000, activator = 'system/quintet-activator', since = '2026-01-01T00:00:00Z') => {
  const slice = activatorSlice(owner(name), `${name}-activator`, name, { addresses: ['10.0.0.9'], port, activator });
  slice.metadata.creationTimestamp = since;
  return slice;
};
const pods = (service: string, endpoints: EndpointSlice['endpoints'], port = 8080): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-x1`, namespace: 'team', labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  endpoints: endpoints ?? [],
  ports: [{ name: 'http', port }],
});
const routes = (...slices: EndpointSlice[]) => routesOf(slices, 'system/quintet-activator');

describe('routes of an activator', () => {
  it('lead from the port of a slice to the pods of its Service, ready or about to be', () => {
    const found = routes(
      front('notes'),
      pods('notes', [
        { addresses: ['10.0.0.1'], conditions: { ready: true } },
        { addresses: ['10.0.0.2'], conditions: { ready: false } },
        { addresses: ['10.0.0.3'], conditions: { ready: false, serving: true, terminating: true } },
        { addresses: ['fd00::1'] },
      ]),
      pods('others', [{ addresses: ['10.0.0.4'] }]),
    );
    expect([...found.keys()]).toEqual([20_000]);
    expect(found.get(20_000)).toEqual({
      service: 'team/notes',
      port: 20_000,
      backends: [
        { host: '10.0.0.1', port: 8080, isReady: true },
        { host: '10.0.0.2', port: 8080, isReady: false },
        { host: '[fd00::1]', port: 8080, isReady: true },
      ],
    });
  });

  it('never lead to an activator', () => {
    expect(routes(front('notes')).get(20_000)?.backends).toEqual([]);
  });

  it('leave out Services of another installation', () => {
    expect(routes(front('notes', 20_000, 'elsewhere/quintet-activator')).size).toBe(0);
  });

  it('give a port that two slices name to the older one', () => {
    const found = routes(front('new', 20_000, undefined, '2026-01-02T00:00:00Z'), front('old'));
    expect(found.get(20_000)?.service).toBe('team/old');
  });

  it('bear with slices that say nothing', () => {
    const empty = { ...pods('notes', null), ports: null };
    expect(routes(front('notes'), empty).get(20_000)?.backends).toEqual([]);
  });
});
