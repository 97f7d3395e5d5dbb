// The bytes of an entry outside this process: framed, compressed, checksummed, optionally encrypted, and bound to their key.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants, zstdCompress, zstdDecompress } from 'node:zlib';
import type { CacheKey } from './key.ts';
import type { Entry } from './tier.ts';

export interface FrameOptions {
  /** `zstd` when left out. */
  compression?: 'none' | 'zstd' | 'brotli';
  /** Values below this many bytes are not compressed; 1 024 when left out. */
  compressFrom?: number;
  /** 32 bytes for AES-256-GCM. The first writes, all read, so that a key can be rotated. */
  encryptionKeys?: readonly Buffer[];
  /** Largest value in bytes, also after decompression; 64 MiB when left out. */
  maxValueBytes?: number;
}

export interface Frame {
  /** Undefined when the value is too large to be kept. */
  seal: (key: CacheKey, entry: Entry) => Promise<Buffer | undefined>;
  /** Undefined for what is damaged, forged, of another key, or encrypted with a key that is not known. */
  open: (key: CacheKey, bytes: Buffer) => Promise<Entry | undefined>;
}

const magic = Buffer.from('QCE1');
const flags = { zstd: 1, brotli: 2, encrypted: 4 } as const;
const compressors = {
  zstd: { pack: promisify(zstdCompress), unpack: promisify(zstdDecompress) },
  brotli: {
    pack: (data: Buffer) => promisify(brotliCompress)(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
    unpack: promisify(brotliDecompress),
  },
};

/**
 * Layout: `QCE1`, flags (1 byte), check (16 bytes), body. The check is the first half of SHA-256 over key, flags and body, or with encryption
 * the GCM tag with the key and flags as associated data. Body: [nonce of 12 bytes if encrypted,] length of header (4 bytes), header as JSON, value.
 */
export function frame(options: FrameOptions = {}): Frame {
  const { compression = 'zstd', compressFrom = 1024, encryptionKeys = [], maxValueBytes = 64 << 20 } = options;
  for (const key of encryptionKeys)
    if (key.length !== 32) throw new RangeError(`an encryption key has 32 bytes, not ${key.length}`);
  const [writeKey] = encryptionKeys;

  const seal: Frame['seal'] = async (key, entry) => {
    if (entry.value.length > maxValueBytes) return undefined;
    let flag = 0;
    let value = entry.value;
    if (compression !== 'none' && value.length >= compressFrom) {
      const packed = await compressors[compression].pack(value);
      if (packed.length < value.length) {
        value = packed;
        flag |= flags[compression];
      }
    }
    const header = Buffer.from(JSON.stringify({ expiresAt: entry.expiresAt, cost: entry.cost, tags: entry.tags }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(header.length);
    const plain = Buffer.concat([length, header, value]);
    if (!writeKey) return Buffer.concat([magic, Buffer.of(flag), checksum(key, flag, plain), plain]);
    flag |= flags.encrypted;
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', writeKey, nonce).setAAD(associated(key, flag));
    const body = Buffer.concat([nonce, cipher.update(plain), cipher.final()]);
    return Buffer.concat([magic, Buffer.of(flag), cipher.getAuthTag(), body]);
  };

  const open: Frame['open'] = async (key, bytes) => {
    if (bytes.length < 25 || !bytes.subarray(0, 4).equals(magic)) return undefined;
    const flag = bytes[4] ?? 0;
    const plain = decipher(key, flag, bytes.subarray(5, 21), bytes.subarray(21), encryptionKeys);
    if (!plain || plain.length < 4) return undefined;
    const headerEnd = 4 + plain.readUInt32BE(0);
    try {
      const header = JSON.parse(plain.toString('utf8', 4, headerEnd)) as Omit<Entry, 'value'>;
      const packed = plain.subarray(headerEnd);
      const how = flag & flags.zstd ? 'zstd' : flag & flags.brotli ? 'brotli' : undefined;
      const value = how ? await compressors[how].unpack(packed, { maxOutputLength: maxValueBytes }) : packed;
      return { value, expiresAt: header.expiresAt, cost: header.cost, tags: header.tags };
    } catch {
      return undefined;
    }
  };
  return { seal, open };
}

function decipher(
  key: CacheKey,
  flag: number,
  check: Buffer,
  body: Buffer,
  keys: readonly Buffer[],
): Buffer | undefined {
  const encrypted = (flag & flags.encrypted) !== 0;
  // With encryption on, a plain entry could have been planted by anyone who can write to the shared tier.
  if (encrypted !== keys.length > 0) return undefined;
  if (!encrypted) return checksum(key, flag, body).equals(check) ? body : undefined;
  for (const secret of keys) {
    const plain = decrypt(secret, associated(key, flag), check, body);
    if (plain) return plain;
  }
  return undefined;
}

function decrypt(secret: Buffer, aad: Buffer, tag: Buffer, body: Buffer): Buffer | undefined {
  try {
    const decipherer = createDecipheriv('aes-256-gcm', secret, body.subarray(0, 12), { authTagLength: 16 })
      .setAAD(aad)
      .setAuthTag(tag);
    return Buffer.concat([decipherer.update(body.subarray(12)), decipherer.final()]);
  } catch {
    return undefined;
  }
}

function associated(key: CacheKey, flag: number): Buffer {
  return Buffer.concat([Buffer.of(flag), Buffer.from(key)]);
}

function checksum(key: CacheKey, flag: number, body: Buffer): Buffer {
  return createHash('sha256').update(associated(key, flag)).update(body).digest().subarray(0, 16);
}
