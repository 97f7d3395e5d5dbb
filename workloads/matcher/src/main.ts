// The program of a MatcherPool's pods.
import { runEngine } from '@quintet/runtime';
import { matcherEngine } from './service/engine.ts';

await runEngine(matcherEngine());
