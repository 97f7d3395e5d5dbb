// The image of an engine: the resource's own, or the one that the installation brought.
import { TerminalError } from '../reconcile/errors.ts';
import type { Stores } from './stores.ts';

export interface EngineSettings {
  /** Empty when the installation has none: then each resource names its own in `spec.pod.image`. */
  image: string;
  imagePullPolicy?: string;
  env?: Record<string, string>;
  /** What resources get that name no store of their own. */
  stores?: Stores;
  /** For what tells its cost by itself; left out or 0: no cost is told. */
  cpuHourPrice?: number;
}

/** @throws TerminalError when neither names one. */
export function requireImage(engine: string, { image }: EngineSettings, own: string | undefined): void {
  if (image !== '' || own) return;
  const message = `no image of the ${engine} engine is installed; set engines.${engine}.image in the chart's values, or spec.pod.image`;
  throw new TerminalError('EngineImageMissing', message);
}
