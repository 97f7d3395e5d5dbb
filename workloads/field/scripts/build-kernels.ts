// Compiles kernels/*.ts (AssemblyScript) to WebAssembly and embeds them, base64, where they are used.
// The compiler is pinned and its output a function of the sources, so the generated file is committed and compared.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Each kernel, and the module that holds what it compiles to. */
export const kernels: readonly { name: string; embedded: string }[] = [
  { name: 'field', embedded: 'src/kernel/module.ts' },
  { name: 'probe', embedded: 'src/service/probekernel.ts' },
  { name: 'rounds', embedded: 'src/solver/roundskernel.ts' },
];

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

export const pathOf = (embedded: string): string => join(root, embedded);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, embedded } of kernels) {
    const wasm = await compileKernel(name);
    await writeFile(pathOf(embedded), embed(wasm));
    console.log(`${embedded}: ${wasm.length} bytes of WebAssembly`);
  }
}
