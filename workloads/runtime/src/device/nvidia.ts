// What nvidia-smi says of the GPUs in this container.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface GpuReading {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  /** Bytes. */
  readonly memoryTotal: number | undefined;
  readonly memoryUsed: number | undefined;
  /** 0…1. */
  readonly utilization: number | undefined;
  /** Degrees Celsius. */
  readonly temperature: number | undefined;
  /** Watts. */
  readonly power: number | undefined;
  /** Memory errors that were not corrected, since the driver was loaded. */
  readonly uncorrectedErrors: number | undefined;
}

const fields = [
  'index',
  'name',
  'uuid',
  'memory.total',
  'memory.used',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
  'ecc.errors.uncorrected.volatile.total',
] as const;

/** Readings of all GPUs; none where there is no nvidia-smi, no driver, or no answer within `timeout` milliseconds. */
export async function readGpus(command = 'nvidia-smi', timeout = 5000): Promise<GpuReading[]> {
  const args = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'];
  const { stdout } = await promisify(execFile)(command, args, {
    timeout,
    maxBuffer: 1 << 20,
    killSignal: 'SIGKILL',
  }).catch(() => ({ stdout: '' }));
  return parseGpus(stdout);
}

/** Lines that are not a whole reading are left out; a figure that the device does not have is undefined, never zero. */
export function parseGpus(csv: string): GpuReading[] {
  return csv.split('\n').flatMap((line) => {
    const cells = line.split(',').map((cell) => cell.trim());
    const index = figure(cells[0]);
    const [, name, uuid] = cells;
    if (cells.length !== fields.length || index === undefined || !name || !uuid?.startsWith('GPU-')) return [];
    return [
      {
        index,
        name,
        uuid,
        memoryTotal: scaled(cells[3], 2 ** 20),
        memoryUsed: scaled(cells[4], 2 ** 20),
        utilization: scaled(cells[5], 0.01),
        temperature: figure(cells[6]),
        power: figure(cells[7]),
        uncorrectedErrors: figure(cells[8]),
      },
    ];
  });
}

function scaled(cell: string | undefined, factor: number): number | undefined {
  const value = figure(cell);
  return value === undefined ? undefined : value * factor;
}

/** `[N/A]`, `[Not Supported]` and the like are no figures. */
function figure(cell: string | undefined): number | undefined {
  return cell !== undefined && /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : undefined;
}
