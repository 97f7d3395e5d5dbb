// The report: one HTML file that needs no network, with what a person asks of a search first.
import { frozenNotes } from '../frozen/members.ts';
import { confusionOf, isError, shown } from '../metrics/metrics.ts';
import { mixedPredictions } from '../search/ensemble.ts';
import { describe } from '../search/genome.ts';
import { distinctFront } from '../search/nsga2.ts';
import type { RunRecord } from './artifacts.ts';
import { calibrationOf } from './calibration.ts';
import { type Chart, chart } from './chart.ts';
import { lineageGraph } from './lineage.ts';
import { shareableSpec } from './shareable.ts';

const styles = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  figure svg { width: 100%; height: auto; } .wide { overflow-x: auto; } .grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1.5rem; }
  table { border-collapse: collapse; } td, th { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #8884; }
  td.number { text-align: right; font-variant-numeric: tabular-nums; } .warning { border-left: 4px solid #c60; padding-left: .8rem; } code { font-size: 12px; }`;

export function renderReport(record: RunRecord): string {
  const { problem, result, notes, spec, file } = record;
  const { search, judging, suspects } = result;
  const title = `${problem.target}: ${judging.metric} ${figure(result.score)}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text(title)}</title><style>${styles}</style></head><body>
<h1>${text(title)}</h1>
<p>${new Date().toISOString().slice(0, 10)}: ${problem.task} on ${problem.rows} rows${file === undefined ? '' : ` of ${text(file)}`} and ${problem.features.length} features; ${judging.split.folds} folds (${judging.split.kind}), seed ${judging.seed}.
${judging.metric}: ${isError(judging.metric) ? 'less' : 'more'} is better. On the holdout ${figure(result.holdout)}; a prediction takes ${figure(result.inferenceTime)} ms a row.
${search.complete.length + search.racedOut + search.failed} pipelines in ${result.seconds.toFixed(1)} s: ${search.complete.length} on all folds, ${search.racedOut} stopped early, ${search.failed} failed. Ended by ${search.reason}.</p>
${warnings([...frozenNotes(record.problem, record.result.search.cut).map(({ name, note }) => `frozen model ${name}: ${note}`), ...suspects.map((suspect) => suspect.text), ...notes.map((note) => `${note.column}${note.row === undefined ? '' : `, row ${note.row}`}: ${note.text}`), ...result.warnings, ...search.failures])}
<div class="grid">${charts(record)
    .map((each) => `<figure><figcaption>${text(each.title)}</figcaption>${chart(each)}</figure>`)
    .join('')}</div>
${confusion(record)}
<h2>Importance of columns</h2>${importance(record)}
<h2>The ensemble</h2>${members(record)}
<h2>Pareto front of score and cost</h2>${front(record)}
<h2>Lineage of the best pipeline</h2>${lineage(record)}
<details><summary>Spec</summary><pre>${text(JSON.stringify(shareableSpec(spec), null, 2))}</pre></details>
</body></html>
`;
}

function charts(record: RunRecord): Chart[] {
  const { search, judging, ensemble, truths } = record.result;
  const all: Chart[] = [
    {
      title: 'Best score by time',
      x: 'seconds',
      y: judging.metric,
      line: search.curve.map((point) => [point.seconds, shown(judging.metric, point.score)]),
      dots: [],
    },
    {
      title: 'Score and cost of a prediction',
      x: 'operations (log₁₀)',
      y: judging.metric,
      line: [],
      dots: search.complete.map((each) => [each.cost / Math.LN10, shown(judging.metric, each.score)]),
    },
  ];
  const curve = ensemble ? calibrationOf(ensemble.members, truths) : [];
  if (curve.length > 0)
    all.push({
      title: 'Calibration: share of positives by predicted probability',
      x: 'predicted',
      y: 'observed',
      line: [
        [0, 0],
        [1, 1],
      ],
      dots: curve,
    });
  return all;
}

function confusion({ problem, result }: RunRecord): string {
  const { ensemble, truths } = result;
  if (problem.task === 'Regression' || !ensemble || problem.classes.length > 20) return '';
  const total = problem.classes.map(() => problem.classes.map(() => 0));
  for (const [fold, truth] of truths.entries()) {
    for (const [i, row] of confusionOf(
      { ...truth, weights: undefined },
      mixedPredictions(ensemble.members, fold),
    ).entries())
      for (const [j, count] of row.entries()) total[i]![j]! += count;
  }
  const head = problem.classes.map((name) => `<th>${text(name)}</th>`).join('');
  const rows = problem.classes.map(
    (name, i) =>
      `<tr><th>${text(name)}</th>${total[i]!.map((count) => `<td class="number">${count}</td>`).join('')}</tr>`,
  );
  return `<h2>Confusion on rows out of fold</h2><table><tr><th>true \\ predicted</th>${head}</tr>${rows.join('')}</table>`;
}

/** Bars of what the score loses when a column's cells are dealt anew. */
function importance({ result }: RunRecord): string {
  const { importance: found, judging } = result;
  const top = found.slice(0, 30);
  if (top.length === 0) return '<p>There was no time to measure it.</p>';
  const most = Math.max(...top.map(({ loss }) => loss), 1e-12);
  const rows = top.map(
    ({ column, loss }) =>
      `<tr><td>${text(column)}</td><td class="number">${figure(loss)}</td><td><meter min="0" max="1" value="${Math.max(0, loss / most).toFixed(3)}"></meter></td></tr>`,
  );
  return `<table><tr><th>column</th><th>loss of ${judging.metric}</th><th></th></tr>${rows.join('')}</table>`;
}

function members({ result }: RunRecord): string {
  if (!result.ensemble)
    return '<p>No pipeline had room in the model: it predicts the shares of the classes, or the mean.</p>';
  const rows = result.ensemble.members.map(
    ({ individual, weight }) =>
      `<tr><td class="number">${(100 * weight).toFixed(0)} %</td><td class="number">${figure(shown(result.judging.metric, individual.score))}</td><td><code>${text(describe(individual.genome))}</code></td></tr>`,
  );
  return `<table><tr><th>weight</th><th>score alone</th><th>pipeline</th></tr>${rows.join('')}</table>`;
}

function front({ result }: RunRecord): string {
  const rows = distinctFront(result.search.complete)
    .sort((a, b) => b.score - a.score)
    .map(
      (each) =>
        `<tr><td class="number">${each.index}</td><td class="number">${figure(shown(result.judging.metric, each.score))}</td><td class="number">${Math.exp(each.cost).toFixed(0)}</td><td><code>${text(describe(each.genome))}</code></td></tr>`,
    );
  return `<table><tr><th>number</th><th>score</th><th>operations</th><th>pipeline</th></tr>${rows.join('')}</table>`;
}

function lineage({ result: { search, judging } }: RunRecord): string {
  if (!search.best) return '<p>None was done in time.</p>';
  return lineageGraph(search.best, search.complete, (score) => figure(shown(judging.metric, score)), text);
}

function warnings(lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `<div class="warning"><ul>${lines
    .slice(0, 40)
    .map((line) => `<li>${text(line)}</li>`)
    .join('')}</ul></div>`;
}

function figure(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(Number(value.toPrecision(5)));
}

function text(raw: string): string {
  return raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
