// Compiles kernels/*.ts (AssemblyScript) to WebAssembly and embeds it, base64, in src/kernel/module.ts.
// The compiler is pinned and its output a function of the sources, so the generated file is committed and compared.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function compileKernel(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'quintet-kernel-'));
  try {
    const outFile = join(folder, 'field.wasm');
    const { error } = await asc.main(
      [
        'kernels/field.ts',
        '--outFile',
        outFile,
        '--baseDir',
        root,
        '--runtime',
        'stub',
        '--enable',
        'simd',
        '-O3',
        '--noAssert',
      ],
      { stderr: process.stderr },
    );
    if (error) throw error;
    return await readFile(outFile);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function embed(wasm: Buffer): string {
  const lines = wasm.toString('base64').match(/.{1,100}/g) ?? [];
  return [
    '// Generated from kernels/ by `npm run build:kernels`; do not edit.',
    '',
    'export const wasm: string = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('');",
    '',
  ].join('\n');
}

export const embeddedFile: string = fileURLToPath(new URL('../src/kernel/module.ts', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wasm = await compileKernel();
  await writeFile(embeddedFile, embed(wasm));
  console.log(`src/kernel/module.ts: ${wasm.length} bytes of WebAssembly`);
}
