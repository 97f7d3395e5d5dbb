// The process of a CompressionService pod.
import { runEngine } from '@quintet/runtime';
import { compressionService } from './engine.ts';

await runEngine(compressionService());
