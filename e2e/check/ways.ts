// The ways to install beside Helm's own: plain YAML, kustomize, Terraform; and what Argo CD is given.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { kinds } from '@quintet/crds';
import { parse } from 'yaml';
import { installFile, installManifest } from './install.ts';

const root = resolve(import.meta.dirname, '../..');

export interface Execution {
  ok: boolean;
  stdout: string;
  /** Standard error and output together. */
  output: string;
}

export interface Context {
  /** Path of Helm. */
  helm: string;
  kubectl: (args: string[], input?: string) => Execution;
  render: (values: object, flags?: string[]) => Execution;
  /** One line for what holds; what does not, with why. */
  report: (shows: string, problem: string | undefined) => void;
  /** A folder that goes when the checks have ended. */
  scratch: string;
}

/** The definitions must be installed. */
export function checkWays(context: Context): void {
  checkInstallFile(context);
  checkKustomize(context);
  checkArgo(context);
  checkTerraform(context);
}

function checkInstallFile({ helm, kubectl, report }: Context): void {
  const same = readFileSync(installFile, 'utf8') === installManifest(helm);
  report('helm/install/install.yaml is what the chart renders', same ? '' : 'run `make generate` and commit it');
  const accepted = kubectl(['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', installFile]);
  report('install.yaml is accepted', accepted.ok ? '' : accepted.output);
}

function checkKustomize({ kubectl, report }: Context): void {
  kubectl(['create', 'namespace', 'compute']);
  const overlay = kubectl(['kustomize', join(root, 'docs/gitops/kustomize')]);
  report('the kustomize overlay builds on its base', overlay.ok ? '' : overlay.output);
  const missing = [
    'image: registry.example.com/quintet/controller:',
    'value: registry.example.com/quintet/field:',
    'name: QUINTET_LEASE_NAMESPACE',
  ].filter((text) => !overlay.stdout.includes(text));
  if (overlay.stdout.includes('quintet-system')) missing.push('another namespace than quintet-system');
  report('the overlay changes images and namespace', missing.map((text) => `lacks ${text}`).join('\n'));
  const args = ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', '-'];
  const accepted = kubectl(args, overlay.stdout);
  report('what the overlay builds is accepted', accepted.ok ? '' : accepted.output);
}

/** Merges the chart's ConfigMap into an argocd-cm as docs/gitops/argocd.md says. */
function checkArgo({ kubectl, render, report }: Context): void {
  const rendered = render({ argocd: { enabled: true } }, ['--show-only', 'templates/argocd.yaml']);
  const applied = kubectl(['apply', '-f', '-'], rendered.stdout);
  report('the ConfigMap for Argo CD is accepted', applied.ok ? '' : applied.output);
  kubectl(['create', 'namespace', 'argocd']);
  kubectl(['-n', 'argocd', 'create', 'configmap', 'argocd-cm', '--from-literal=url=https://argo.example.com']);
  const system = ['-n', 'quintet-system', 'get', 'configmap', 'quintet-argocd'];
  const patch = kubectl([...system, '-o', 'jsonpath={"{\\"data\\":"}{.data}{"}"}']);
  const merged = kubectl([
    '-n',
    'argocd',
    'patch',
    'configmap',
    'argocd-cm',
    '--type',
    'merge',
    '--patch',
    patch.stdout,
  ]);
  report('it merges into argocd-cm', merged.ok ? '' : merged.output);
  const { stdout } = kubectl(['-n', 'argocd', 'get', 'configmap', 'argocd-cm', '-o', 'json']);
  const { data } = JSON.parse(stdout || '{"data":{}}') as { data: Record<string, string> };
  const wrong = kinds.flatMap(({ kind }) => scriptsAmiss(kind, data));
  if (data.url === undefined) wrong.push('what was there before is lost');
  report(`argocd-cm then has health and actions of ${kinds.length} kinds`, wrong.join('\n'));
  const waves = kubectl(['apply', '--dry-run=server', '-f', join(root, 'docs/gitops/argocd/waves')]);
  report('the resources of the sync waves are accepted', waves.ok ? '' : waves.output);
}

function scriptsAmiss(kind: string, data: Record<string, string>): string[] {
  const script = (name: string) => readFileSync(join(root, `helm/quintet/files/argocd/${name}.lua`), 'utf8').trim();
  const health = data[`resource.customizations.health.quintet.dev_${kind}`];
  const actions = parse(data[`resource.customizations.actions.quintet.dev_${kind}`] ?? '{}') as {
    'discovery.lua'?: string;
    definitions?: { name: string; 'action.lua': string }[];
  };
  const definitions = actions.definitions ?? [];
  const offered = [...script('discovery').matchAll(/actions\["(\w+)"\]/g)].map(([, name = '']) => name);
  const serves = script('discovery').includes(`"${kind}"`);
  const wanted = offered.filter((name) => name !== 'restart' || serves).toSorted();
  const names = definitions.map(({ name }) => name).toSorted();
  return [
    ...(health?.trim() === script('health') ? [] : [`${kind}: no health script`]),
    ...(actions['discovery.lua']?.trim() === script('discovery') ? [] : [`${kind}: no discovery script`]),
    ...(names.join() === wanted.join() ? [] : [`${kind}: defines ${names.join()}, offers ${wanted.join()}`]),
    ...definitions
      .filter((each) => each['action.lua'].trim() !== script(each.name))
      .map(({ name }) => `${kind}: another script is called ${name}`),
  ];
}

/** Format, and the values that the variables become. The rest of the module needs its provider. */
function checkTerraform({ render, report, scratch }: Context): void {
  const terraform = (args: string[], input?: string) =>
    spawnSync('terraform', args, {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', TF_CLI_CONFIG_FILE: '/dev/null' },
      ...(input !== undefined && { input }),
    });
  const module = join(root, 'helm/terraform');
  const formatted = terraform(['fmt', '-check', '-diff', module]);
  if (formatted.error) {
    console.log('- terraform is not installed: its module was not formatted, nor its values evaluated');
    return;
  }
  report('the Terraform module is formatted', formatted.status === 0 ? '' : formatted.stdout + formatted.stderr);
  const folder = mkdtempSync(join(scratch, 'terraform-'));
  for (const file of ['variables.tf', 'values.tf']) copyFileSync(join(module, file), join(folder, file));
  const valid = terraform([`-chdir=${folder}`, 'validate', '-no-color']);
  report('its variables and values are valid', valid.status === 0 ? '' : valid.stdout + valid.stderr);
  const all = {
    registry: 'registry.example.com',
    image_tag: 'v1',
    engines: { field: { repository: 'quintet/field' }, copy: { repository: 'copy', tag: 'v2' } },
    replicas: 3,
    namespaces: ['team-b', 'team-a'],
    argocd: true,
  };
  for (const [name, variables] of Object.entries({ 'no variable': {}, 'every variable': all })) {
    const flags = Object.entries(variables).map(
      ([key, value]) => `-var=${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    const evaluated = terraform([`-chdir=${folder}`, 'console', ...flags], 'jsonencode(local.values)\n');
    const rendered = evaluated.status === 0 ? render(valuesFrom(evaluated.stdout)) : undefined;
    report(`${name} of it set: the chart takes its values`, rendered?.ok ? '' : (rendered?.output ?? evaluated.stderr));
    if (variables !== all) continue;
    const texts = ['registry.example.com/quintet/controller:v1', 'registry.example.com/copy:v2', 'replicas: 3'];
    const missing = texts.filter((text) => !rendered?.stdout.includes(text));
    report('its variables reach the objects', missing.join('\n'));
  }
}

/** The console prints a string as HCL writes it: JSON inside JSON. */
function valuesFrom(printed: string): object {
  return JSON.parse(JSON.parse(printed.trim()) as string) as object;
}
