import { describe, expect, it } from 'vitest';
import { fileOf, referenceAt, referencesOf } from './references.ts';

const spec = {
  array: { custom: { configMap: { name: 'board', key: 'elements.csv' } } },
  model: { source: { persistentVolumeClaim: { claimName: 'models', path: 'tagger/model.onnx' } } },
  embedding: { source: { oci: { image: 'registry.example.com/minilm:1', path: 'model.onnx' } } },
  cache: { redis: { secretRef: { name: 'redis' } } },
  plugins: [{ name: 'legal', configMap: { name: 'code', key: 'index.js' } }],
  endpoints: [{ secretRef: { name: 'a', key: 'token' } }],
  output: { persistentVolumeClaim: { claimName: 'fields' } },
  pod: { env: [{ name: 'X', secretRef: { name: 'never' } }] },
};

describe('references of a spec', () => {
  it('are found wherever the spec names a Secret, a ConfigMap, a claim or an image to read', () => {
    expect(referencesOf(spec).map(({ type, name, path }) => `${type} ${name} ${path}`)).toEqual([
      'ConfigMap board array.custom.configMap',
      'Claim models model.source.persistentVolumeClaim',
      'Image registry.example.com/minilm:1 embedding.source.oci',
      'Secret redis cache.redis.secretRef',
      'ConfigMap code plugins.legal.configMap',
      'Secret a endpoints.0.secretRef',
    ]);
  });

  it('say which file is meant, or the usual one', () => {
    const at = (path: string) => {
      const reference = referenceAt(spec, path);
      if (!reference) throw new Error(path);
      return reference;
    };
    expect(fileOf(at('array.custom.configMap'))).toBe('/etc/quintet/refs/array.custom.configMap/elements.csv');
    expect(fileOf(at('model.source.persistentVolumeClaim'))).toBe('/var/lib/quintet/claims/models/tagger/model.onnx');
    expect(fileOf(at('embedding.source.oci'))).toBe('/var/lib/quintet/images/embedding.source.oci/model.onnx');
    expect(fileOf(at('cache.redis.secretRef'), 'url')).toBe('/etc/quintet/refs/cache.redis.secretRef/url');
  });
});
