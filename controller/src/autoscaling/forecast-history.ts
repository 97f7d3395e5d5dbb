// What a forecaster has learnt, small enough to be kept in a ConfigMap: a new leader goes on from there.
import { z } from 'zod';

/** Bins of the history that are kept as one: a minute. */
const together = 4;
const mostText = 64 * 1024;
const scale = 65_535;

const figure = z.number().min(0);
const errors = z.object({ Naive: figure, Trend: figure, Seasonal: figure });
const kept = z.object({
  version: z.literal(1),
  binMs: z.number().int().min(1),
  /** Number of the latest bin. */
  last: z.number().int().min(0),
  /** Demand that 65535 stands for. */
  peak: figure,
  /** Little-endian 16-bit numbers in base64: demand of each minute, the latest last. */
  demand: z.base64(),
  errors,
  weight: figure,
  mean: figure,
  judged: z.number().int().min(0),
});

export interface Learnt extends Omit<z.infer<typeof kept>, 'version' | 'peak' | 'demand'> {
  /** Demand by bin, the latest last. */
  bins: number[];
}

export function written({ bins, ...rest }: Learnt): string {
  const minutes: number[] = [];
  for (let end = bins.length; end > 0; end -= together) {
    const minute = bins.slice(Math.max(0, end - together), end);
    minutes.push(minute.reduce((sum, each) => sum + each, 0) / minute.length);
  }
  const peak = minutes.reduce((a, b) => Math.max(a, b), 0);
  const bytes = Buffer.alloc(2 * minutes.length);
  for (const [i, value] of minutes.toReversed().entries())
    bytes.writeUInt16LE(peak > 0 ? Math.round((value / peak) * scale) : 0, 2 * i);
  return JSON.stringify({ version: 1, ...rest, peak, demand: bytes.toString('base64') });
}

/** Undefined for what is none: whoever may write the ConfigMap may write anything there. */
export function learntFrom(text: string | undefined): Learnt | undefined {
  if (text === undefined || text.length > mostText) return undefined;
  try {
    const { version: _first, peak, demand, ...rest } = kept.parse(JSON.parse(text));
    const bytes = Buffer.from(demand, 'base64');
    const minutes = Array.from({ length: bytes.length >> 1 }, (_, i) => (bytes.readUInt16LE(2 * i) / scale) * peak);
    return { ...rest, bins: minutes.flatMap((value) => Array.from({ length: together }, () => value)) };
  } catch {
    return undefined;
  }
}
