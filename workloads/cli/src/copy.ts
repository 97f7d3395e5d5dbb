// `quintet copy`: a brief becomes ranked variants on this machine, by a GGUF file or by templates.
import { type CopyAnswer, writeLocally } from '@quintet/copy';
import { InvalidResourceError } from '@quintet/crds';
import { parseUserFile } from '@quintet/crds/userfile';
import { parse } from 'yaml';
import { interrupts } from './interrupts.ts';
import { ProgressBar } from './progress.ts';
import { checkFolder, readTextFile } from './textFile.ts';

export interface CopyOptions {
  model?: string;
  template?: string;
  prompts?: string;
  engine?: string;
  n?: number;
  seed?: number;
  json?: boolean;
}

/** @returns the exit code. Everything that went wrong has been said on standard error. */
export async function writeCopy(file: string, options: CopyOptions): Promise<number> {
  const { signal, stopListening } = interrupts();
  const progress = new ProgressBar(process.stderr);
  try {
    const { template, n, seed, model, prompts } = options;
    const brief = briefOf(file);
    if (prompts !== undefined) checkFolder(prompts);
    const answer = await writeLocally({
      request: {
        brief: brief as Parameters<typeof writeLocally>[0]['request']['brief'],
        ...(template !== undefined && { template }),
        ...(n !== undefined && { n }),
        ...(seed !== undefined && { seed }),
      },
      model,
      prompts,
      spec: options.engine === undefined ? undefined : specOf(options.engine, model),
      signal,
      onProgress: (message) => progress.tell(message),
    });
    progress.end();
    console.log(options.json ? JSON.stringify(answer) : asText(answer));
    return 0;
  } catch (error) {
    progress.end();
    if (signal.aborted) {
      console.error('interrupted');
      return 130;
    }
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  } finally {
    stopListening();
  }
}

function briefOf(file: string): unknown {
  const refused = (message: string, cause?: unknown) => new Error(`${file}: ${message}`, { cause });
  let given: unknown;
  try {
    given = parse(readTextFile(file, 1, 'brief'));
  } catch (error) {
    if (error instanceof InvalidResourceError) throw error;
    throw refused((error as Error).message, error);
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw refused('a brief has fields, such as "product: Lumen lamp"');
  if ('brief' in given)
    throw refused('this looks like the body of POST /v1/copy: keep what stands under "brief"; the rest are flags');
  if ('apiVersion' in given)
    throw refused('this is a resource, not a brief: give the brief, and the resource by --engine');
  return given;
}

function specOf(file: string, model: string | undefined) {
  const resources = parseUserFile(readTextFile(file, 16, 'resource'), file);
  const engines = resources.filter((resource) => resource.kind === 'CopyEngine');
  const refused = (path: string[], message: string) => new InvalidResourceError([{ path, message, file }]);
  const [first] = engines;
  if (!first || engines.length > 1)
    throw refused([], first ? `holds ${engines.length} CopyEngines: one is needed` : 'holds no CopyEngine');
  // What it asks for is not to be answered by something else in silence.
  if (first.spec.runtime !== 'Template' && model === undefined) {
    const message = `${first.spec.runtime} is not run by this command: give --model FILE.gguf to write by, or set Template`;
    throw refused(['spec', 'runtime'], message);
  }
  return first.spec;
}

function asText({ variants, writtenBy, template, model, warnings }: CopyAnswer): string {
  const by = writtenBy === 'Model' ? `written by ${model}` : 'no language model wrote this: templates were filled';
  const parts = variants.map(({ text, score, checks }, index) => {
    const broken = checks.filter(({ passed }) => !passed).map(({ name, detail }) => `\n   ! ${name}: ${detail}`);
    return `${index + 1}. score ${score.toFixed(2)}${broken.join('')}\n\n${text}\n`;
  });
  return [`${template}, ${by}`, ...warnings.map((warning) => `warning: ${warning}`), '', ...parts].join('\n');
}
