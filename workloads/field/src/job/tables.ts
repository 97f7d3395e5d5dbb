// Tables that a resource refers to: CSV or JSON, from files where the pod has mounted them or from the same YAML.
import { readFileSync, statSync } from 'node:fs';
import { fileOf, type Reference, referenceAt } from '@quintet/crds';
import { FieldError } from '../errors.ts';

/** A file that the resource refers to, as text or bytes. @throws when there is none. */
export type FileReader = (reference: Reference) => string | Uint8Array;

export interface Tables {
  readonly spec: object;
  readonly read: FileReader;
}

const mostBytes = 64 * 2 ** 20;

/** Reads where the controller has mounted what the resource refers to. */
export const mountedFile: FileReader = (reference) => {
  const path = fileOf(reference);
  const { size } = statSync(path);
  if (size > mostBytes) throw new Error(`${size} bytes; at most ${mostBytes} are read`);
  return readFileSync(path);
};

/** @throws FieldError `InvalidResource` with the row at fault. */
export function readTable({ spec, read }: Tables, format: 'CSV' | 'JSON', field: string): Record<string, number>[] {
  const path = field.replace(/^spec\./, '');
  const reference = referenceAt(spec, `${path}.configMap`) ?? referenceAt(spec, `${path}.persistentVolumeClaim`);
  if (!reference) throw new FieldError('InvalidResource', 'refers to no ConfigMap and no claim', field);
  const place = `${reference.type} ${reference.name}, ${reference.file}`;
  let text: string;
  try {
    text = textOf(read(reference));
  } catch (error) {
    throw new FieldError('InvalidResource', `cannot read ${place}: ${(error as Error).message}`, field, error);
  }
  return format === 'JSON' ? fromJson(text, place, field) : fromCsv(text, place, field);
}

const textOf = (file: string | Uint8Array): string =>
  typeof file === 'string' ? file : Buffer.from(file).toString('utf8');

function fromCsv(text: string, place: string, field: string): Record<string, number>[] {
  const lines = text.split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map((name) => name.trim());
  return lines.slice(1).flatMap((line, i) => {
    if (line.trim() === '') return [];
    const cells = line.split(',');
    if (cells.length !== header.length) {
      throw new FieldError(
        'InvalidResource',
        `${place}: line ${i + 2}: ${cells.length} values for ${header.length} columns`,
        field,
      );
    }
    return [
      Object.fromEntries(cells.map((cell, n) => [header[n]!, number(cell.trim(), `${place}: line ${i + 2}`, field)])),
    ];
  });
}

function fromJson(text: string, place: string, field: string): Record<string, number>[] {
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch (error) {
    throw new FieldError('InvalidResource', `${place}: ${(error as Error).message}`, field, error);
  }
  if (!Array.isArray(rows)) throw new FieldError('InvalidResource', `${place}: must be a list of objects`, field);
  return rows.map((row: unknown, i) => {
    if (typeof row !== 'object' || row === null) {
      throw new FieldError('InvalidResource', `${place}[${i}]: must be an object of numbers`, field);
    }
    return Object.fromEntries(
      Object.entries(row).map(([key, value]) => [key, number(value, `${place}[${i}].${key}`, field)]),
    );
  });
}

function number(value: unknown, where: string, field: string): number {
  const parsed = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof parsed !== 'number' || !Number.isFinite(parsed)) {
    throw new FieldError('InvalidResource', `${where}: ${JSON.stringify(value)} is not a finite number`, field);
  }
  return parsed;
}
