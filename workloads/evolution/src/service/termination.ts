// The last word of a pod to the controller: one JSON object, no longer than what Kubernetes keeps of it.
import { startOf } from '../text.ts';
import type { RunSummary } from './results.ts';

export interface StepFailure {
  readonly step: string;
  readonly error: { readonly reason: string; readonly message: string; readonly field?: string };
}

/** Bytes, of the 4096 that are kept: what is longer is cut off, and no JSON any more. */
const mostBytes = 4000;

/** As much of it as fits. */
export function lastWord(said: RunSummary | StepFailure): string {
  let text = '';
  for (const shorter of 'error' in said ? shorterFailures(said) : shorterSummaries(said)) {
    text = JSON.stringify(shorter);
    if (Buffer.byteLength(text) <= mostBytes) return text;
  }
  throw new RangeError(`a result of ${Buffer.byteLength(text)} bytes is too long`);
}

function* shorterFailures(failure: StepFailure): Generator<StepFailure> {
  const { error } = failure;
  for (let most = error.message.length; most > 0; most = Math.floor(0.9 * most)) {
    yield { ...failure, error: { ...error, message: startOf(error.message, most) } };
  }
}

/** Without suspect columns, one by one: the report has them all. Then without its address, which is beside the others', and without theirs. */
function* shorterSummaries({ suspectColumns = [], output, ...rest }: RunSummary): Generator<object> {
  for (let count = suspectColumns.length; count >= 0; count--) {
    yield { ...rest, ...(count > 0 && { suspectColumns: suspectColumns.slice(0, count) }), ...(output && { output }) };
  }
  if (!output) return;
  const { uri, bytes } = output;
  yield { ...rest, output: { uri, bytes } };
  yield { ...rest, output: { bytes } };
}
