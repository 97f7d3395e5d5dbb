// What a bench knows so far: every row is shown and written as soon as it is known, and again when more splits or seeds have made it surer.
import { renameSync, writeFileSync } from 'node:fs';
import { figure, type Row, report } from '@quintet/runtime/bench';

export class Results {
  readonly #rows = new Map<string, Row>();
  readonly #file: string | undefined;
  readonly #started = performance.now();

  constructor(file: string | undefined) {
    this.#file = file;
  }

  add(...rows: readonly Row[]): void {
    for (const each of rows) {
      this.#rows.set(`${each.case}, ${each.metric}`, each);
      console.log(lineOf(each));
    }
    if (this.#file === undefined) return;
    // A bench that is stopped while it writes leaves the rows before.
    writeFileSync(`${this.#file}.part`, `${JSON.stringify([...this.#rows.values()], null, 2)}\n`);
    renameSync(`${this.#file}.part`, this.#file);
  }

  /** What is under way, with the seconds since the start. */
  say(text: string): void {
    console.error(`${((performance.now() - this.#started) / 1000).toFixed(0).padStart(5)} s  ${text}`);
  }

  /** The whole table. */
  end(): void {
    report([...this.#rows.values()], this.#file);
  }
}

function lineOf({ case: name, size, metric, unit, ours, peers, ratio, target, met }: Row): string {
  const values = Object.entries({ ours, ...peers }).map(([who, value]) => `${who} ${figure(value)}`);
  const verdict = met === undefined ? [] : [`${target}: ${met ? 'met' : 'missed'}`];
  const parts = [values.join(', '), ...(ratio === undefined ? [] : [`${figure(ratio)}×`]), ...verdict];
  return `${name} (${size}), ${metric} in ${unit}: ${parts.join('; ')}`;
}
