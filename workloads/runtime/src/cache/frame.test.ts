import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FrameOptions, frame } from './frame.ts';
import { cacheKey } from './key.ts';

const key = (tenant: string) => cacheKey({ tenant, kind: 'k', version: '1', input: 1 });
const secret = randomBytes(32);
const kinds: [string, FrameOptions][] = [
  ['plain', { compression: 'none' }],
  ['zstd', { compression: 'zstd', compressFrom: 0 }],
  ['brotli', { compression: 'brotli', compressFrom: 0 }],
  ['zstd and AES-256-GCM', { compression: 'zstd', compressFrom: 0, encryptionKeys: [secret] }],
];

describe.each(kinds)('a frame: %s', (_name, options) => {
  const { seal, open } = frame(options);
  const entry = (value: Buffer) => ({ value, expiresAt: 1e12, cost: 3, tags: { 't:a': 'x' } });

  test('gives back what was put in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        const sealed = await seal(key('a'), entry(Buffer.from(bytes)));
        expect(await open(key('a'), sealed ?? Buffer.alloc(0))).toEqual(entry(Buffer.from(bytes)));
      }),
    );
  });

  test('opens nothing that was changed in any byte, cut short, or put under the key of another tenant', async () => {
    const sealed = (await seal(key('a'), entry(Buffer.from('an answer '.repeat(30))))) ?? Buffer.alloc(0);
    expect(await open(key('b'), sealed)).toBeUndefined();
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(await open(key('a'), changed)).toBeUndefined();
        expect(await open(key('a'), sealed.subarray(0, at))).toBeUndefined();
      }),
    );
  });
});

describe('an encrypted frame', () => {
  const entry = { value: Buffer.from('the secret answer'), expiresAt: 1e12, cost: 1, tags: {} };
  test('does not show its content, and opens with a key that is being rotated out', async () => {
    const old = frame({ encryptionKeys: [secret] });
    const rotated = frame({ encryptionKeys: [randomBytes(32), secret] });
    const sealed = (await old.seal(key('a'), entry)) ?? Buffer.alloc(0);
    expect(sealed.includes('secret')).toBe(false);
    expect((await rotated.open(key('a'), sealed))?.value.toString()).toBe('the secret answer');
    expect(await frame({ encryptionKeys: [randomBytes(32)] }).open(key('a'), sealed)).toBeUndefined();
  });

  test('is the only one accepted once a key is set', async () => {
    const planted = (await frame().seal(key('a'), entry)) ?? Buffer.alloc(0);
    expect(await frame({ encryptionKeys: [secret] }).open(key('a'), planted)).toBeUndefined();
  });

  test('does not unpack more than the largest value', async () => {
    const bomb =
      (await frame({ maxValueBytes: 10 << 20 }).seal(key('a'), { ...entry, value: Buffer.alloc(5 << 20) })) ??
      Buffer.alloc(0);
    expect(bomb.length).toBeLessThan(10_000);
    expect(await frame({ maxValueBytes: 1 << 20 }).open(key('a'), bomb)).toBeUndefined();
    expect(
      await frame({ maxValueBytes: 1 << 20 }).seal(key('a'), { ...entry, value: Buffer.alloc(2 << 20) }),
    ).toBeUndefined();
  });
});
