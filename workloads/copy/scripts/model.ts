// Makes a tiny GGUF model, to try the engine without a language model: it knows which letter follows which in a few lines, so what it writes is noise.
//   node --conditions=source workloads/copy/scripts/model.ts copy.gguf [TEXT-FILE]
import { readFileSync } from 'node:fs';
import { bigramModel } from '../src/testing/gguf.ts';

const [path, corpus] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: node --conditions=source workloads/copy/scripts/model.ts FILE.gguf [TEXT-FILE]');
  process.exit(2);
}
const lines = ['The lamp is warm, and it runs 40 hours on one charge.', 'Read all night by the light that you like.'];
const text = corpus === undefined ? lines.join('\n') : readFileSync(corpus, 'utf8');
// Each line is a text of its own.
bigramModel(path, `${text.trim().replaceAll('\n', '\0')}\0`);
