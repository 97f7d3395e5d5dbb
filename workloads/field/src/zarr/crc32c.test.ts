import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seal, verified } from './array.ts';
import { crc32c } from './crc32c.ts';

it('gives the check values of RFC 3720, appendix B.4', () => {
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
});

it('tells any flipped bit of a sealed chunk', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 200 }), fc.nat(), (bytes, at) => {
      const sum = seal(bytes);
      expect(verified(bytes)).toBe(sum);
      const bit = at % (bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(verified(bytes)).toBeUndefined();
    }),
  );
});
