import { report } from '@quintet/runtime/bench';
import { service } from './bench/service.ts';
report(await service(process.argv.includes('--quick')));
