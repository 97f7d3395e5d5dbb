// What Argo CD and kstatus conclude from every state of every kind, and what Argo CD's actions do.
import { compressionService, kinds as definitions } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../kube/types.ts';
import { servingKind } from '../serving/index.ts';
import { observed } from '../testing.ts';
import { kstatus } from './kstatus.ts';
import { run } from './lua.ts';
import { allStates, type State } from './states.ts';

const states = allStates();
const stateOf = (title: string): State['resource'] => {
  const found = states.find((each) => each.title === title);
  if (!found) throw new TypeError(`no state is called ${title}`);
  return found.resource;
};
const serving = 'CompressionService when every pod is of the latest revision';

describe('every state of every kind', () => {
  it('is in the table: each kind works, is done, is stalled and rests', () => {
    const found = definitions.map(({ kind }) => {
      const healths = states.filter(({ resource }) => resource.kind === kind).map(({ health }) => health);
      return [kind, [...new Set(healths)].toSorted()];
    });
    const wanted = ['Degraded', 'Healthy', 'Progressing', 'Suspended'];
    expect(found).toEqual(definitions.map(({ kind }) => [kind, wanted]));
  });

  for (const { title, resource, health, kstatus: concluded } of states) {
    it(`${title} is ${health} for Argo CD and ${concluded} for kstatus`, async () => {
      expect(await run('health', resource)).toMatchObject({ status: health, message: expect.stringMatching(/./) });
      expect(kstatus(resource)).toBe(concluded);
    });
  }

  for (const { kind } of definitions) {
    const { status: _status, ...bare } = stateOf(`${kind} when asked to rest`);
    it(`${kind} without a status is Progressing for Argo CD`, async () => {
      expect(await run('health', bare)).toMatchObject({ status: 'Progressing' });
      expect(await run('health', { ...bare, status: {} })).toMatchObject({ status: 'Progressing' });
    });
  }

  for (const { title, resource } of states) {
    it(`${title} but of an older generation is still in progress for both`, async () => {
      const changed = { ...resource, metadata: { ...resource.metadata, generation: 5 } };
      expect(await run('health', changed)).toMatchObject({ status: 'Progressing' });
      expect(kstatus(changed)).toBe('InProgress');
    });
  }
});

describe('an action of Argo CD', () => {
  const offered = (resource: object) => run('discovery', resource);

  it('is suspend while a resource is active, and restart where it serves', async () => {
    expect(await offered(stateOf(serving))).toEqual({ suspend: { disabled: false }, restart: { disabled: false } });
    expect(await offered(stateOf('FieldJob while it computes'))).toEqual({ suspend: { disabled: false } });
  });

  it('is resume while it rests', async () => {
    expect(await offered(stateOf('EvolutionRun when asked to rest'))).toEqual({ resume: { disabled: false } });
    expect(await offered(stateOf('MatcherPool when asked to rest'))).toEqual({
      resume: { disabled: false },
      restart: { disabled: true },
    });
  });

  it('is none for a job that has ended', async () => {
    const titles = ['FieldJob at the end', 'FieldJob past its deadline', 'EvolutionRun at the end'];
    const actions = await Promise.all(titles.map((title) => offered(stateOf(title))));
    expect(actions).toEqual(titles.map(() => ({ suspend: { disabled: true } })));
  });

  it('is still suspend for a service that is stalled', async () => {
    const stalled = stateOf('CopyEngine when its rollout stands still for too long');
    expect(await offered(stalled)).toMatchObject({ suspend: { disabled: false } });
  });

  it('is offered for a resource that the controller has not seen', async () => {
    const { status: _status, ...bare } = stateOf(serving);
    expect(await offered(bare)).toMatchObject({ suspend: { disabled: false } });
  });

  it('called suspend or resume changes spec.suspend and nothing else', async () => {
    for (const { resource } of states) {
      // Its status is not theirs to write: the API server takes that of /status alone.
      const { status: _status, ...bare } = resource;
      const spec = { ...(resource.spec as object) };
      expect(await run('suspend', bare)).toEqual({ ...bare, spec: { ...spec, suspend: true } });
      expect(await run('resume', bare)).toEqual({ ...bare, spec: { ...spec, suspend: false } });
    }
  });

  it('called restart gives the pods a new revision and keeps what the spec says of them', async () => {
    const kind = servingKind(compressionService, { image: 'example.test/engine:1' });
    const template = (resource: unknown) =>
      kind
        .desired(kind.parse(resource as KubeObject), observed())
        .objects.find(({ kind: each }) => each === 'Deployment') as never as { spec: { template: object } };
    const before = stateOf(serving);
    const own = { ...before, spec: { ...(before.spec as object), pod: { annotations: { team: 'news' } } } };
    const first = await run('restart', own, '2026-01-01T12:00:00Z');
    const second = await run('restart', first as object, '2026-01-02T12:00:00Z');
    expect(first).toMatchObject({
      spec: { pod: { annotations: { team: 'news', 'quintet.dev/restartedAt': '2026-01-01T12:00:00Z' } } },
    });
    expect(template(first).spec.template).not.toEqual(template(own).spec.template);
    expect(template(second).spec.template).not.toEqual(template(first).spec.template);
    expect(template(await run('restart', before)).spec.template).toMatchObject({
      metadata: { annotations: { 'quintet.dev/restartedAt': '2026-01-01T12:00:00Z' } },
    });
  });
});
