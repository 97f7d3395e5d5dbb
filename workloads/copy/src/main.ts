// The program of a CopyEngine's pods.
import { runEngine } from '@quintet/runtime';
import { copyEngine } from './service/engine.ts';

await runEngine(copyEngine());
