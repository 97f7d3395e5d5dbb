// Image archives made without any image tool, in the form that `docker save` writes: enough for images of a few files.
import { createHash } from 'node:crypto';

export interface ArchiveFile {
  /** Path inside, without a leading slash. */
  path: string;
  content: Buffer;
  /** Permission bits */
  mode?: number;
}

export interface ImageSettings {
  /** Name and tag. */
  reference: string;
  files: ArchiveFile[];
  entrypoint: string[];
  user?: string;
}

/** A tar of an image with a single layer. The same settings give the same bytes. */
export function imageArchive({ reference, files, entrypoint, user = '65535:65535' }: ImageSettings): Buffer {
  const layer = tar(files);
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Entrypoint: entrypoint, User: user },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created_by: 'quintet' }],
    }),
  );
  const configName = `${sha256(config)}.json`;
  const manifest = [{ Config: configName, RepoTags: [reference], Layers: ['layer.tar'] }];
  return tar([
    { path: configName, content: config },
    { path: 'layer.tar', content: layer },
    { path: 'manifest.json', content: Buffer.from(JSON.stringify(manifest)) },
  ]);
}

/** A POSIX ustar archive of plain files, owned by root and dated 1970. */
export function tar(files: ArchiveFile[]): Buffer {
  const blocks = files.flatMap((file) => {
    const padding = Buffer.alloc((512 - (file.content.length % 512)) % 512);
    return [header(file), file.content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function header({ path, content, mode = 0o644 }: ArchiveFile): Buffer {
  if (Buffer.byteLength(path) > 100) throw new Error(`path too long for the archive: ${path}`);
  const block = Buffer.alloc(512);
  block.write(path, 0);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(content.length, 12), 124);
  block.write(octal(0, 12), 136);
  // The sum is taken with its own field as blanks.
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\0`;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
