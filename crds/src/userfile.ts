// YAML that people write: every document read strictly, every complaint with file, line, column and field.
import {
  type Document,
  type DocumentOptions,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  type ParseOptions,
  parseAllDocuments,
  type SchemaOptions,
  type YAMLError,
} from 'yaml';
import { type AnyResource, definitionOf, kinds } from './kinds.ts';
import { InvalidResourceError, type Issue, validate } from './parse.ts';
import { apiVersion, group } from './v1alpha1/definition.ts';

/** Larger files are refused before they are parsed. */
export const maxFileBytes = 4 * 1024 * 1024;
const maxDocuments = 1000;

/** More complaints than this are of one cause; a person reads the first. */
const maxIssues = 100;

/** YAML 1.1 without dates and base 60, so that a file means the same here and to kubectl. */
const asKubectlReads: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  schema: 'yaml-1.1',
  customTags: (tags) =>
    tags.filter(
      (tag) =>
        typeof tag === 'string' || !(tag.tag.endsWith(':timestamp') || ('format' in tag && tag.format === 'TIME')),
    ),
};

/**
 * Resources of quintet.dev in a YAML file of one or more documents, strictly read, defaults applied.
 * Documents of other groups (a claim beside its job) are passed over.
 * @throws InvalidResourceError with all issues of the file.
 */
export function parseUserFile(text: string, fileName: string): AnyResource[] {
  if (Buffer.byteLength(text) > maxFileBytes) {
    throw new InvalidResourceError([
      { file: fileName, path: [], message: `is larger than ${maxFileBytes / 2 ** 20} MiB` },
    ]);
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    ...asKubectlReads,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  });
  const place = (offset: number): Pick<Issue, 'file' | 'line' | 'column'> => {
    const { line, col } = lines.linePos(offset);
    return { file: fileName, line, column: col };
  };
  const issues: Issue[] = [];
  const resources: AnyResource[] = [];
  if (!Array.isArray(documents) || documents.length > maxDocuments) {
    throw new InvalidResourceError([
      { file: fileName, path: [], message: `must have 1 to ${maxDocuments} YAML documents` },
    ]);
  }
  for (const document of documents) {
    const read =
      document.errors.length > 0
        ? { issues: document.errors.map((error) => syntaxIssue(error, place)) }
        : readDocument(document, place);
    issues.push(...(read.issues ?? []));
    if (read.resource !== undefined) resources.push(read.resource);
  }
  if (issues.length === 0 && resources.length === 0) {
    issues.push({
      file: fileName,
      path: [],
      message: `has no resource of ${group}`,
      fix: `start with apiVersion: ${apiVersion} and kind: ${kinds.map(({ kind }) => kind).join(' | ')}`,
    });
  }
  if (issues.length > maxIssues)
    issues.splice(maxIssues, Infinity, { file: fileName, path: [], message: `${issues.length - maxIssues} more` });
  if (issues.length > 0) throw new InvalidResourceError(issues);
  return resources;
}

type Place = (offset: number) => Pick<Issue, 'file' | 'line' | 'column'>;
type ParsedDocument = Document.Parsed | Document.Parsed<ParsedNode, false>;

function readDocument(document: ParsedDocument, place: Place): { resource?: AnyResource; issues?: Issue[] } {
  const value = plainValue(document, place);
  if ('issues' in value) return value;
  const { object } = value;
  if (object === null || object === undefined) return {};
  const locate = (issue: Issue): Issue => ({ ...issue, ...place(offsetOf(document, issue.path)) });
  if (typeof object !== 'object' || Array.isArray(object)) {
    return { issues: [locate({ path: [], message: 'must be a map with apiVersion, kind, metadata and spec' })] };
  }
  const { apiVersion: stated, kind } = object as Record<string, unknown>;
  const foreign = typeof stated === 'string' && stated !== '' && !stated.startsWith(`${group}/`);
  if (foreign) return {};
  const definition = definitionOf(typeof kind === 'string' ? kind : '');
  if (definition === undefined) {
    const message = kind === undefined ? 'is required' : `${JSON.stringify(kind)} is not a kind of ${group}`;
    return {
      issues: [locate({ path: ['kind'], message, fix: `use one of ${kinds.map((each) => each.kind).join(', ')}` })],
    };
  }
  const validated = validate(definition, object);
  if (validated.issues !== undefined) return { issues: validated.issues.map(locate) };
  return { resource: validated.resource };
}

/** A document as plain data; aliases that would blow up are refused by the parser's own limit. */
function plainValue(document: ParsedDocument, place: Place): { object: unknown } | { issues: Issue[] } {
  try {
    return { object: document.toJS({ maxAliasCount: 100 }) };
  } catch (error) {
    return { issues: [{ ...place(document.range[0]), path: [], message: (error as Error).message }] };
  }
}

const syntaxIssue = (error: YAMLError, place: Place): Issue => ({
  ...place(error.pos[0]),
  path: [],
  message: `not YAML: ${error.message}`,
});

/** Where a path is written; of a missing field, where its nearest ancestor is. A key counts as the place of its value. */
function offsetOf(document: ParsedDocument, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range[0];
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
      );
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      if (node === undefined) break;
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];
