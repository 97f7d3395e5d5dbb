// The report: one HTML file that needs no network.
import type { RunRecord } from './artifacts.ts';

export function renderReport(record: RunRecord): string {
  return `<!doctype html><meta charset="utf-8"><title>${record.problem.target}</title>`;
}
