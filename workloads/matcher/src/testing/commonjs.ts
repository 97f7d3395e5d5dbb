// Import this before `pg` in a test: Vitest gives Node the condition `import` for require() as well, whereupon pg is
// handed the namespace of its own pool's ES module where it wants the class.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const chosen = require.resolve('pg-pool');
if (chosen.endsWith('.mjs')) {
  const plain = join(dirname(dirname(chosen)), 'index.js');
  require(plain);
  const loaded = require.cache[plain];
  if (loaded) require.cache[chosen] = loaded;
}
