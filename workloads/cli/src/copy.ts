// `quintet copy`: a brief becomes ranked variants on this machine, by a GGUF file or by templates.
import { readFileSync, statSync } from 'node:fs';
import { type CopyAnswer, writeLocally } from '@quintet/copy';
import { InvalidResourceError } from '@quintet/crds';
import { parseUserFile } from '@quintet/crds/userfile';
import { parse } from 'yaml';

export interface CopyOptions {
  model?: string;
  template?: string;
  prompts?: string;
  engine?: string;
  n?: number;
  seed?: number;
  json?: boolean;
}

const mostBytes = 1 << 20;

/** @returns the exit code. Everything that went wrong has been said on standard error. */
export async function writeCopy(file: string, options: CopyOptions): Promise<number> {
  const stop = new AbortController();
  const interrupt = (): void => {
    // A second Ctrl-C does not wait.
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    const { template, n, seed, model, prompts } = options;
    const brief = briefOf(file);
    const answer = await writeLocally({
      request: {
        brief: brief as Parameters<typeof writeLocally>[0]['request']['brief'],
        ...(template !== undefined && { template }),
        ...(n !== undefined && { n }),
        ...(seed !== undefined && { seed }),
      },
      model,
      prompts,
      spec: options.engine === undefined ? undefined : specOf(options.engine),
      signal: stop.signal,
    });
    console.log(options.json ? JSON.stringify(answer) : asText(answer));
    return 0;
  } catch (error) {
    if (stop.signal.aborted) {
      console.error('interrupted');
      return 130;
    }
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

function briefOf(file: string): unknown {
  if (statSync(file).size > mostBytes) throw new Error(`${file}: more than 1 MiB is no brief`);
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

function specOf(file: string) {
  const engines = parseUserFile(readFileSync(file, 'utf8'), file).filter((resource) => resource.kind === 'CopyEngine');
  const [first] = engines;
  if (first && engines.length === 1) return first.spec;
  const message = first ? `holds ${engines.length} CopyEngines: one is needed` : 'holds no CopyEngine';
  throw new InvalidResourceError([{ path: [], message, file }]);
}

function asText({ variants, writtenBy, template, model, warnings }: CopyAnswer): string {
  const by = writtenBy === 'Model' ? `written by ${model}` : 'no language model wrote this: templates were filled';
  const parts = variants.map(({ text, score, checks }, index) => {
    const broken = checks.filter(({ passed }) => !passed).map(({ name, detail }) => `\n   ! ${name}: ${detail}`);
    return `${index + 1}. score ${score.toFixed(2)}${broken.join('')}\n\n${text}\n`;
  });
  return [`${template}, ${by}`, ...warnings.map((warning) => `warning: ${warning}`), '', ...parts].join('\n');
}
