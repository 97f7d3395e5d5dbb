// `quintet match`: which images of one folder are, or come from, those of another.
import { type FolderMatch, type FolderOptions, matchFolders } from '@quintet/matcher';
import { guarded } from './guarded.ts';
import { ProgressBar } from './progress.ts';
import { columns } from './table.ts';

export interface MatchFlags {
  against: string;
  level?: NonNullable<FolderOptions['level']>;
  maxDistance?: number;
  json?: boolean;
}

/** @returns the exit code. */
export function matchCommand(folder: string, { against, level, maxDistance, json }: MatchFlags): Promise<number> {
  return guarded(async (signal) => {
    const bar = new ProgressBar(process.stderr);
    const began = performance.now();
    const result = await matchFolders(folder, against, {
      ...(level && { level }),
      ...(maxDistance !== undefined && { maxDistance }),
      onProgress: (done, total) => {
        signal.throwIfAborted();
        const seconds = (performance.now() - began) / 1000;
        // Nobody needs a bar for what is done in a moment.
        if (seconds > 1) bar.show(done, total, done / seconds, 'images');
      },
    });
    bar.end();
    for (const { file, reason } of result.skipped) console.error(`skipped ${file}: ${reason}`);
    if (result.known === 0) console.error(`${against} holds no image: there is nothing to match with`);
    if (json) {
      console.log(JSON.stringify(result));
      return;
    }
    const rows = result.matches.map((each) => [each.file, each.against, each.stage, evidence(each)]);
    if (rows.length > 0) console.log(columns([['IMAGE', 'KNOWN', 'STAGE', 'EVIDENCE'], ...rows]).join('\n'));
    console.error(`${rows.length} matches; ${result.compared} images compared with ${result.known}`);
  });
}

function evidence({ stage, distance, variant, alignment }: FolderMatch): string {
  if (stage === 'Exact') return 'the same bytes';
  return [
    distance === undefined ? '' : `distance ${distance} of 256`,
    variant === undefined || variant === 'Original' ? '' : variant,
    alignment === undefined ? '' : 'corners agree',
  ]
    .filter(Boolean)
    .join(', ');
}
