import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter, LineTooLongError } from './lines.ts';

test('lines come out whole, however the bytes are cut', () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).map((part) => part.replaceAll('\n', ' ')));
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (parts, sizes) => {
      const bytes = Buffer.from(parts.map((part) => `${part}\n`).join(''));
      const splitter = new LineSplitter(1 << 20);
      const seen: string[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        splitter.push(bytes.subarray(at, at + size), (line) => seen.push(line));
        at += size;
      }
      expect(seen).toEqual(parts.filter((part) => part !== ''));
      expect(splitter.pendingBytes).toBe(0);
    }),
  );
});

test('an unfinished line is pending, not delivered', () => {
  const splitter = new LineSplitter(100);
  const seen: string[] = [];
  splitter.push(Buffer.from('whole\nhal'), (line) => seen.push(line));
  expect(seen).toEqual(['whole']);
  expect(splitter.pendingBytes).toBe(3);
});

test('a line beyond the limit is refused', () => {
  const splitter = new LineSplitter(10);
  expect(() => splitter.push(Buffer.alloc(11, 'a'), () => undefined)).toThrow(LineTooLongError);
});
