// Hierarchical: the budget is shared out over sections first, so that no chapter is lost, then spent within each.
import type { Document } from '../document.ts';
import { centrality } from '../rank.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { coverage } from './extractive.ts';

export const hierarchical: Strategy = {
  name: 'hierarchical',
  compress({ document, budget, query, forced }) {
    const section = sections(document);
    const share = shares(document, section, budget.most);
    const spent = new Float64Array(share.length);
    const base = coverage(document, query);
    const headed = new Int32Array(document.units.length);
    const spend = (unit: number, times: number): void => {
      const own = section[unit] as number;
      spent[own] = (spent[own] as number) + times * (document.cost[unit] as number);
      const parent = document.units[unit]?.parent ?? -1;
      if (parent >= 0) headed[parent] = (headed[parent] as number) + times;
    };
    return choose(
      document,
      budget,
      {
        thrift: base.thrift,
        gain(unit) {
          const own = section[unit] as number;
          // Beyond its share a section's units lose worth, so the next section's come first.
          const room = (share[own] as number) / ((share[own] as number) + (spent[own] as number));
          const title = document.units[unit]?.kind === 'heading' && headed[unit] ? 2 : 1;
          return base.gain(unit) * room * title;
        },
        kept(unit) {
          base.kept?.(unit);
          spend(unit, 1);
        },
        dropped(unit) {
          base.dropped?.(unit);
          spend(unit, -1);
        },
      },
      forced,
    );
  },
};

/** The section of each unit: by headings where there are several, else blocks of about the square root of the units. */
function sections({ units }: Document): Uint32Array {
  const section = new Uint32Array(units.length);
  const headings = units.filter((unit) => unit.kind === 'heading').length;
  const block = Math.max(4, Math.ceil(Math.sqrt(units.length)));
  let current = 0;
  units.forEach((unit, index) => {
    if (index > 0 && (headings >= 3 ? unit.kind === 'heading' : index % block === 0)) current++;
    section[index] = current;
  });
  return section;
}

/** Tokens per section: by the root of its length (a long chapter is not as much more important), raised by its centrality. */
function shares(document: Document, section: Uint32Array, tokens: number): Float64Array {
  const central = centrality(document);
  const count = (section[section.length - 1] ?? 0) + 1;
  const weight = new Float64Array(count);
  section.forEach((own, unit) => {
    weight[own] = (weight[own] as number) + (document.cost[unit] as number) * (0.2 + (central[unit] as number));
  });
  let sum = 0;
  for (let own = 0; own < count; own++) {
    weight[own] = Math.sqrt(weight[own] as number);
    sum += weight[own] as number;
  }
  return weight.map((each) => Math.max(1, (tokens * each) / Math.max(sum, 1e-9)));
}
