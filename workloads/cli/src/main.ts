// The command line `quintet`: engines run on this machine from the very YAML that a cluster takes.
import { Command, InvalidArgumentError } from 'commander';
import type { CopyOptions } from './copy.ts';
import { runField } from './run.ts';

const program = new Command('quintet')
  .description('Runs an engine of Quintet on this machine, from the same YAML that a cluster takes.')
  .version('0.1.0')
  .showHelpAfterError('(quintet --help shows how)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

program
  .command('run')
  .description(
    'Compute a FieldJob into a folder. Interrupted at any moment, it goes on where it was when called again.',
  )
  .argument('<file>', 'YAML with a FieldJob; ConfigMaps in the same file are found by name')
  .requiredOption('-o, --out <folder>', 'folder of the result, made if missing')
  .option('--name <name>', 'which FieldJob, where the file has several')
  .option('--threads <n>', 'threads to compute with (default: the cores this process may use)', positiveInteger)
  .option(
    '--claim <name=folder>',
    'folder that stands for a PersistentVolumeClaim the spec reads from; may be given often',
    (pair: string, all: Map<string, string>) => all.set(...nameAndFolder(pair)),
    new Map<string, string>(),
  )
  .option('--json', 'print the result as one JSON object instead of a table')
  .addHelpText(
    'after',
    `
Examples:
  $ quintet run levitator.yaml --out levitator          compute, with a progress bar
  $ quintet run levitator.yaml --out levitator          once more: finds everything whole in a moment
  $ quintet run jobs.yaml --name bead --out bead --json | jq .safety
  $ quintet run custom.yaml --out out --claim arrays=./my-arrays

The folder then holds summary.json, pictures of slices, the phases (solution.json), and a Zarr v3 group:
  >>> import zarr; zarr.open("levitator")["pressure"][:]

Exit codes: 0 done, 2 the YAML or the spec must change, 75 try again (disk full or not writable), 130 interrupted.`,
  )
  .action(
    async (
      file: string,
      options: { out: string; name?: string; threads?: number; claim: Map<string, string>; json?: boolean },
    ) => {
      process.exitCode = await runField(file, options);
    },
  );

program
  .command('copy')
  .description('Write variants of marketing copy from a brief, by a GGUF model or by templates.')
  .argument('<brief>', 'YAML with product, audience, facts and what else a brief may say')
  .option('--model <file>', 'GGUF file that writes; without one, templates are filled, and the answer says so')
  .option('--template <name>', 'such as aida, pas, email, or one of --prompts (default: aida)')
  .option('--prompts <folder>', 'templates (.yaml) and brand voice (.md, .txt), as the ConfigMap holds them')
  .option('--engine <file>', 'YAML with a CopyEngine, for its generation and guardrails')
  .option('-n, --variants <n>', 'how many (default: 3)', positiveInteger)
  .option('--seed <n>', 'the same seed, the same variants', positiveInteger)
  .option('--json', 'print the answer of POST /v1/copy')
  .action(async (file: string, { variants, ...options }: CopyOptions & { variants?: number }) => {
    // Loaded only where it is used: the language model's library is large.
    const { writeCopy } = await import('./copy.ts');
    process.exitCode = await writeCopy(file, { ...options, ...(variants !== undefined && { n: variants }) });
  });

await program.parseAsync();

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1024)
    throw new InvalidArgumentError('must be a whole number from 1 to 1024');
  return value;
}

function nameAndFolder(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1 || at === pair.length - 1) throw new InvalidArgumentError('must be NAME=FOLDER');
  return [pair.slice(0, at), pair.slice(at + 1)];
}
