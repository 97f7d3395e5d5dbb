// Compiles kernels/*.ts (AssemblyScript) to WebAssembly and embeds each, base64, in the module beside the code that
// uses it. The compiler is pinned and its output a function of the sources, so the files are committed and compared.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Kernel → the generated module that holds it. */
export const kernels: Readonly<Record<string, string>> = {
  pdq: 'src/pdq/module.ts',
  index: 'src/index/module.ts',
  features: 'src/features/module.ts',
};

/** The index is built by threads beside the one that searches: memory of up to 4 GiB that they share. */
const sharing: Readonly<Record<string, readonly string[]>> = {
  index: [
    '--enable',
    'threads',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
  ],
};

export async function compileKernel(name: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'quintet-kernel-'));
  try {
    const outFile = join(folder, `${name}.wasm`);
    const { error } = await asc.main(
      [
        `kernels/${name}.ts`,
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
        ...(sharing[name] ?? []),
      ],
      {},
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const [name, file] of Object.entries(kernels)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const wasm = await compileKernel(name);
    await writeFile(join(root, file), embed(wasm));
    console.log(`${file}: ${wasm.length} bytes of WebAssembly`);
  }
}
