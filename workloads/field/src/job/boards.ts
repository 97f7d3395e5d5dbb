// The solution as boards and their tools take it: one state per frame, channels in the board's own order.
import type { FieldJobSpec } from '@quintet/crds';
import { writeWhole } from '../compute/files.ts';
import { FieldError } from '../errors.ts';
import type { Drive } from '../physics/sources.ts';
import { toJson } from './output.ts';
import { readTable, type Tables } from './tables.ts';

export type BoardFormat = 'AcousTools' | 'Levitate' | 'JSON';

export interface Boards {
  readonly formats: readonly BoardFormat[];
  /** Channel of each element; the element's own number when left out. */
  readonly channels?: readonly number[];
}

/** More channels than any board has: a slip in the table, not a wish. */
const mostChannels = 1_048_576;

/** What is exported; undefined where nothing is. @throws FieldError */
export function resolveBoards({ array }: FieldJobSpec, count: number, tables: Tables): Boards | undefined {
  const { hardware } = array;
  const channels = hardware?.channelMap && resolveChannels(hardware.channelMap, count, tables);
  if (!hardware?.export) return undefined;
  return { formats: hardware.export, ...(channels && { channels }) };
}

function resolveChannels(
  { format }: NonNullable<NonNullable<FieldJobSpec['array']['hardware']>['channelMap']>,
  count: number,
  tables: Tables,
): number[] {
  const field = 'spec.array.hardware.channelMap';
  const channels = new Array<number>(count).fill(-1);
  const taken = new Set<number>();
  for (const { element, channel } of readTable(tables, format, field)) {
    if (element === undefined || !Number.isInteger(element) || element < 0 || element >= count) {
      throw new FieldError('InvalidArray', `element must be 0 to ${count - 1}, not ${element}`, field);
    }
    if (channel === undefined || !Number.isInteger(channel) || channel < 0 || channel >= mostChannels) {
      throw new FieldError('InvalidArray', `channel of element ${element} must be 0 to ${mostChannels - 1}`, field);
    }
    if (channels[element] !== -1 || taken.has(channel)) {
      throw new FieldError('InvalidArray', `element ${element} or channel ${channel} stands twice`, field);
    }
    channels[element] = channel;
    taken.add(channel);
  }
  const missing = channels.indexOf(-1);
  if (missing !== -1) throw new FieldError('InvalidArray', `element ${missing} has no channel`, field);
  return channels;
}

/** Names of the files by format. */
export const boardFiles: Readonly<Record<BoardFormat, string>> = {
  AcousTools: 'board.csv',
  Levitate: 'board.complex64',
  JSON: 'board.json',
};

/** Writes the frames in each format that is asked for. @throws FieldError */
export function writeBoards({ formats, channels }: Boards, frames: readonly Drive[], folder: string): void {
  const ordered = frames.map((frame) => byChannel(frame, channels));
  for (const format of formats) writeWhole(folder, boardFiles[format], encoded[format](ordered));
}

/** In the order of the channels; a channel without an element is silent. */
function byChannel(drive: Drive, channels: readonly number[] | undefined): Drive {
  if (!channels) return drive;
  const length = channels.reduce((most, each) => Math.max(most, each), -1) + 1;
  const amplitudes = new Float64Array(length);
  const phases = new Float64Array(length);
  channels.forEach((channel, element) => {
    amplitudes[channel] = drive.amplitudes[element]!;
    phases[channel] = drive.phases[element]!;
  });
  return { amplitudes, phases };
}

const encoded: Readonly<Record<BoardFormat, (frames: readonly Drive[]) => string | Uint8Array>> = {
  // AcousTools 1.2, Export/CSV.py, as OpenMPD reads it: frames and transducers, then radians of each frame.
  AcousTools: (frames) =>
    `${frames.length},${frames[0]!.phases.length}\n${frames
      .map(({ phases }) => `${Array.from(phases, (phase) => wrapped(phase)).join(',')}\n`)
      .join('')}`,
  // levitate 3.0, hardware.data_from_cpp: complex64, conjugated.
  Levitate: (frames) =>
    new Uint8Array(
      Float32Array.from(
        frames.flatMap(({ amplitudes, phases }) =>
          Array.from(phases, (phase, i) => [
            amplitudes[i]! * Math.cos(phase),
            -amplitudes[i]! * Math.sin(phase),
          ]).flat(),
        ),
      ).buffer,
    ),
  JSON: (frames) =>
    toJson({
      frames: frames.length,
      transducers: frames[0]!.phases.length,
      convention: 'pressure is the real part of p·exp(-i·omega·t); radians; amplitude 0 to 1',
      states: frames.map(({ amplitudes, phases }) => ({
        amplitudes: Array.from(amplitudes),
        phases: Array.from(phases),
      })),
    }),
};

/** -π to π. */
function wrapped(phase: number): number {
  return phase - 2 * Math.PI * Math.round(phase / (2 * Math.PI));
}
