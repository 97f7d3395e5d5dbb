// Pages of a TIFF (TIFF 6.0, sections 2 and 8): the chain of its directories, and how large the picture of each is.
import { mostParts } from './part.ts';

const width = 256;
const height = 257;
const short = 3;
/** Pixels of each page. */
export function readTiff(bytes: Buffer): number[] {
  const little = bytes[0] === 0x49;
  const short16 = (at: number) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const long32 = (at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const pages: number[] = [];
  // A chain may lead back into itself.
  const seen = new Set<number>();
  for (let at = bytes.length < 8 ? 0 : long32(4); at > 0 && !seen.has(at) && pages.length < mostParts; ) {
    seen.add(at);
    if (at + 2 > bytes.length) break;
    const entries = short16(at);
    const end = at + 2 + 12 * entries;
    if (end + 4 > bytes.length) break;
    const sizes = new Map<number, number>();
    for (let entry = at + 2; entry < end; entry += 12) {
      const tag = short16(entry);
      if (tag === width || tag === height)
        sizes.set(tag, short16(entry + 2) === short ? short16(entry + 8) : long32(entry + 8));
    }
    pages.push((sizes.get(width) ?? 0) * (sizes.get(height) ?? 0));
    at = long32(end);
  }
  return pages;
}
