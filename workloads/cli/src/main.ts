// The command line `quintet`: engines run on this machine from the very YAML that a cluster takes.

import type { CompressFlags } from '@quintet/compression/cli';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { CopyOptions } from './copy.ts';
import type { EvolveFlags } from './evolve.ts';
import type { MatchFlags } from './match.ts';
import type { RegistryFlags } from './models.ts';
import { endWithStandardOutput } from './output.ts';
import { runField } from './run.ts';

const program = new Command('quintet')
  .description('Runs the engines of Quintet on this machine, without a cluster.')
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
  .option('-n, --variants <n>', 'how many, up to 64 (default: generation.sequences, which is 3)', variantCount)
  .option('--seed <n>', 'the same seed, the same variants', seed)
  .option('--json', 'print the answer of POST /v1/copy')
  .addHelpText(
    'after',
    `
Examples:
  $ quintet copy brief.yaml                                 fill templates, with no model at all
  $ quintet copy brief.yaml --model copy.gguf -n 5          five variants by a model
  $ quintet copy brief.yaml --engine copyengine.yaml --json | jq -r .variants[0].text

A brief is YAML such as
  product: Lumen lamp
  facts: [it runs 40 hours on one charge, the light is warm]
  callToAction: Order it today

Exit codes: 0 done, 2 the brief, a flag or a file must change, 130 interrupted.`,
  )
  .action(async (file: string, { variants, ...options }: CopyOptions & { variants?: number }) => {
    // Loaded only where it is used: the language model's library is large.
    const { writeCopy } = await import('./copy.ts');
    process.exitCode = await writeCopy(file, { ...options, ...(variants !== undefined && { n: variants }) });
  });

program
  .command('compress')
  .description('Shorten a text for a language model: whole lines, sentences and fields of it, nothing made up.')
  .argument('<file>', 'UTF-8 text of any kind: prose, code, JSON, logs, tables; - for standard input')
  .addOption(
    new Option('-r, --ratio <times>', 'tokens of the original for each that is kept (default: 8)').argParser(ratio),
  )
  .addOption(
    new Option('-t, --target-tokens <n>', 'most tokens, instead of a ratio').argParser(tokens).conflicts('ratio'),
  )
  .option('-q, --query <text>', 'what the reader wants to know: decides what is kept')
  .option(
    '-s, --strategy <name>',
    'extractive, hierarchical, clustering, frequency, template, structural, pruning, ensemble (default: by content)',
  )
  .addOption(
    new Option('--tokenizer <name>', 'whose tokens are counted (default: o200k_base)').choices([
      'o200k_base',
      'cl100k_base',
      'p50k_base',
      'r50k_base',
    ]),
  )
  .option('--json', 'print the whole result: text, counts, analysis, fidelity, spans of the original')
  .addHelpText(
    'after',
    `
Examples:
  $ quintet compress notes.md --ratio 8 > short.md
  $ quintet compress app.log --ratio 16 --query 'which replica refused connections?'
  $ journalctl -b | quintet compress - --target-tokens 2000
  $ quintet compress data.json --json | jq .fidelity

The text alone goes to standard output, what was kept of it to standard error.`,
  )
  .action(async (file: string, flags: CompressFlags) => {
    const { compressCommand } = await import('./compress.ts');
    process.exitCode = await compressCommand(file, flags);
  });

program
  .command('evolve')
  .description('Search pipelines that predict a column of a table, on this machine, and keep the best as one file.')
  .argument('<file>', 'CSV or Parquet')
  .option('--target <column>', 'column to predict')
  .option('--spec <file>', 'YAML with an EvolutionRun to search by, as a cluster would; flags go before it')
  .addOption(
    new Option('--task <task>', 'what the column is (default: seen from its values)').choices([
      'Binary',
      'Multiclass',
      'Regression',
    ]),
  )
  .option('--metric <name>', 'what is better, such as RocAUC, LogLoss or RMSE (default: usual for the task)')
  .option('--budget <time>', 'how long, such as 90s or 10m (default: 2m, or as --spec says)')
  .option('-o, --out <folder>', 'folder of model, metrics and report', 'model')
  .option('--seed <n>', 'the same seed, the same pipelines', seed)
  .option('--workers <n>', 'processes (default: the cores of this machine)', positiveInteger)
  .option('--cache <folder>', 'scores of earlier runs, found again')
  .option('--frozen <files...>', 'ONNX models that join the ensemble as they are')
  .option('--json', 'print the result as one JSON object')
  .addHelpText(
    'after',
    `
Examples:
  $ quintet evolve churn.csv --target churned --budget 2m --out churn
  $ quintet evolve churn.csv --spec churn.yaml --budget 5m --out churn    folds, groups, weights, learners: every field
  $ quintet predict churn/model.quintet new.csv > predictions.csv

The folder then holds model.quintet, its schema, metrics and an HTML report. It must be new, empty, or of an earlier
run, whose files are replaced; whatever else lies in it stays. A file, or a folder of other things, is refused.`,
  )
  .action(async (file: string, flags: EvolveFlags) => {
    const { evolveCommand } = await import('./evolve.ts');
    process.exitCode = await evolveCommand(file, flags);
  });

program
  .command('predict')
  .description('Predict the rows of a table with a model of quintet evolve.')
  .argument('<model>', 'model.quintet')
  .argument('<file>', 'CSV or Parquet with the columns that the model was taught with')
  .option('-o, --out <file>', 'where predictions go, replaced once all rows are predicted (default: standard output)')
  .addHelpText('after', '\nExample:\n  $ quintet predict churn/model.quintet new.csv --out predictions.csv')
  .action(async (model: string, file: string, flags: { out?: string }) => {
    const { predictCommand } = await import('./evolve.ts');
    process.exitCode = await predictCommand(model, file, flags);
  });

const models = program
  .command('models')
  .description('Read a registry of EvolutionRuns, and say which of its models answers.')
  .addHelpText(
    'after',
    `
Models are named by id, by NAME (the active version, else the latest) or by NAME@VERSION.

Examples:
  $ export QUINTET_POSTGRES_URL=postgres://user@localhost/registry
  $ quintet models list --name churn
  $ quintet models compare churn@3 churn@4
  $ quintet models promote churn@4 --as Challenger --weight 10%
  $ quintet models prune churn --keep 10 --dry-run`,
  );
inRegistry('list', 'List models, the latest version of each name first.')
  .option('--name <name>', 'versions of this name alone')
  .option('--team <team>', 'those of runs that are shared with this team alone')
  .action(async (flags: RegistryFlags & { name?: string; team?: string }) => {
    process.exitCode = await (await import('./models.ts')).listModels(flags);
  });
inRegistry('show', 'Show one model: what it is made of, how it was judged, whether it answers.')
  .argument('<model>', 'id, NAME or NAME@VERSION')
  .action(async (model: string, flags: RegistryFlags) => {
    process.exitCode = await (await import('./models.ts')).showModel(model, flags);
  });
inRegistry('history', 'Scores of all versions of a name, and who did what to them.')
  .argument('<model>', 'NAME, or one model by id or NAME@VERSION')
  .action(async (model: string, flags: RegistryFlags) => {
    process.exitCode = await (await import('./models.ts')).modelHistory(model, flags);
  });
inRegistry('runs', 'List runs: at work, interrupted, cancelled, lost, succeeded or failed, and why.')
  .option('--name <name>', 'of this EvolutionRun alone')
  .action(async (flags: RegistryFlags & { name?: string }) => {
    process.exitCode = await (await import('./models.ts')).listRuns(flags);
  });
inRegistry('promote', 'Make a model the champion of its name, or its challenger with a share of requests.')
  .argument('<model>', 'id, NAME or NAME@VERSION')
  .addOption(new Option('--as <role>', 'what it becomes').choices(['Champion', 'Challenger']).default('Champion'))
  .option('--weight <share>', "the challenger's share of requests, such as 10%", share)
  .action(async (model: string, flags: RegistryFlags & { as: 'Champion' | 'Challenger'; weight?: number }) => {
    process.exitCode = await (await import('./models.ts')).promoteModel(model, flags);
  });
inRegistry(
  'prune',
  'Remove old versions of a name: neither what answers now, nor the latest, nor the latest that answered before.',
)
  .argument('<name>', 'NAME')
  .requiredOption('--keep <n>', 'how many of the latest stay, and of the latest that answered before', versionCount)
  .option('--dry-run', 'say what would go, and leave it')
  .action(async (name: string, flags: RegistryFlags & { keep: number; dryRun?: boolean }) => {
    process.exitCode = await (await import('./models.ts')).pruneModels(name, flags);
  });
inRegistry('compare', 'Compare two models, and say where their scores cannot be compared.')
  .argument('<one>', 'id, NAME or NAME@VERSION')
  .argument('<other>', 'the same of the other')
  .action(async (one: string, other: string, flags: RegistryFlags) => {
    process.exitCode = await (await import('./models.ts')).compareModels(one, other, flags);
  });

program
  .command('match')
  .description(
    'Find the images of one folder among those of another: copies, crops, overlays, turned and mirrored ones.',
  )
  .argument('<folder>', 'images to look up')
  .requiredOption('--against <folder>', 'known images')
  .addOption(
    new Option('--level <level>', 'how thoroughly; Accuracy also finds crops and overlays (default: Accuracy)').choices(
      ['Speed', 'Balanced', 'Accuracy'],
    ),
  )
  .option('--max-distance <bits>', 'largest distance of two hashes that match, of 256 (default: 31)', distance)
  .option('--json', 'print matches with their evidence as one JSON object')
  .addHelpText('after', '\nExample:\n  $ quintet match uploads --against originals --json | jq .matches')
  .action(async (folder: string, flags: MatchFlags) => {
    const { matchCommand } = await import('./match.ts');
    process.exitCode = await matchCommand(folder, flags);
  });

for (const command of program.commands) pointToItsHelp(command);
endWithStandardOutput();
await program.parseAsync(nothingBesideUnknown(process.argv));

/** A mistake in the flags of a command is explained by the help of that command. */
function pointToItsHelp(command: Command): void {
  const names: string[] = [];
  for (let at: Command | null = command; at; at = at.parent) names.unshift(at.name());
  command.showHelpAfterError(`(${names.join(' ')} --help shows how)`);
  for (const each of command.commands) pointToItsHelp(each);
}

/** The arguments; of a command that there is not its name alone, which is then refused: `--help` would explain what was not asked for. */
function nothingBesideUnknown(all: readonly string[]): string[] {
  const [node = '', script = '', name = ''] = all;
  const known = ['help', ...program.commands.map((command) => command.name())];
  return name === '' || name.startsWith('-') || known.includes(name) ? [...all] : [node, script, name];
}

/** A command of `models`, with the flags that all of them have. */
function inRegistry(name: string, description: string) {
  return models
    .command(name)
    .description(description)
    .option('--postgres <url>', 'PostgreSQL of the registry (default: $QUINTET_POSTGRES_URL)')
    .option('--json', 'print JSON');
}

function share(text: string): number {
  const value = Number(text.replace(/%$/, '')) / 100;
  if (!/^\d+(\.\d+)?%$/.test(text) || value > 1) throw new InvalidArgumentError('must be a percentage from 0% to 100%');
  return value;
}

function ratio(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 10_000)) throw new InvalidArgumentError('must be a number from 1 to 10000');
  return value;
}

function tokens(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number of at least 1');
  return value;
}

function positiveInteger(text: string): number {
  return wholeNumber(text, 1, 1024);
}

/** Of hashes of 256 bits. */
function distance(text: string): number {
  return wholeNumber(text, 0, 256);
}

function versionCount(text: string): number {
  return wholeNumber(text, 1, 1_000_000);
}

function variantCount(text: string): number {
  return wholeNumber(text, 1, 64);
}

/** As the fields `seed` of resources and requests. */
function seed(text: string): number {
  return wholeNumber(text, 0, 2_147_483_647);
}

function wholeNumber(text: string, least: number, most: number): number {
  if (/^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
  throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}`);
}

function nameAndFolder(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1 || at === pair.length - 1) throw new InvalidArgumentError('must be NAME=FOLDER');
  return [pair.slice(0, at), pair.slice(at + 1)];
}
