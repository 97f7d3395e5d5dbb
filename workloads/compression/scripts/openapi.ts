// Asks the running service whatever its OpenAPI document allows, and what it does not: no answer may be an error of the server,
// and each must be as described. Installs schemathesis once, beside this file.
//   node --conditions=source workloads/compression/scripts/openapi.ts [--examples 15]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startService } from './service.ts';

const { values } = parseArgs({ options: { examples: { type: 'string', default: '15' } } });
const venv = fileURLToPath(new URL('.venv', import.meta.url));
if (!existsSync(join(venv, 'ready'))) {
  execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' });
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'schemathesis==4.32.5'];
  execFileSync(join(venv, 'bin/python'), install, { stdio: 'inherit' });
  writeFileSync(join(venv, 'ready'), '');
}
const service = await startService({});
const checks =
  'not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance';
const { status } = spawnSync(
  join(venv, 'bin/schemathesis'),
  ['run', `${service.url}/openapi.json`, '--max-examples', values.examples, '--checks', checks, '--seed', '7'],
  { stdio: 'inherit' },
);
await service.stop();
process.exit(status ?? 1);
