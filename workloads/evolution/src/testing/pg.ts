// The test runner asks Node for the `import` form of every package, also where CommonJS requires one; node-postgres cannot extend a module's
// namespace. Imported before anything that imports `pg`, this puts the class itself in that place.
import { createRequire, Module } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(createRequire(import.meta.url).resolve('pg'));
const asked = require.resolve('pg-pool');
if (asked.endsWith('.mjs')) {
  const real = require(join(dirname(asked), '..', 'index.js')) as unknown;
  require.cache[asked] = Object.assign(new Module(asked), { exports: real, loaded: true });
}
