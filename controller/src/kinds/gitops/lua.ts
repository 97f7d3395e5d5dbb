// Runs the chart's Lua scripts as Argo CD does: `obj` is the resource, the answer a table. No standard library is there,
// not even those few that Argo CD opens, but for the clock of its `os`.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LuaFactory } from 'wasmoon';

const folder = resolve(import.meta.dirname, '../../../../helm/quintet/files/argocd');
const factory = new LuaFactory();

export type Script = 'health' | 'discovery' | 'suspend' | 'resume' | 'restart';

/** @throws when the script fails, or takes longer than the second that Argo CD gives it. */
export async function run(script: Script, resource: object, time = '2026-01-01T12:00:00Z'): Promise<unknown> {
  const engine = await factory.createEngine({ openStandardLibs: false, enableProxy: false, functionTimeout: 1000 });
  try {
    engine.global.set('obj', structuredClone(resource));
    engine.global.set('os', { date: () => time });
    engine.global.setTimeout(Date.now() + 1000);
    return await engine.doString(readFileSync(join(folder, `${script}.lua`), 'utf8'));
  } finally {
    engine.global.close();
  }
}
