// Template: mines the makes of line (of a log, of filled-in forms), keeps what is unlike them, and an example of each.
import { outliers } from '../outliers.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { mineTemplates, type Template } from '../templates.ts';
import { coverage } from './extractive.ts';
import { affordable } from './structural.ts';

export const template: Strategy = {
  name: 'template',
  compress({ document, budget, query, forced }) {
    const bonus = affordable(
      document,
      outliers({ ...document, type: document.type === 'prose' ? 'logs' : document.type }),
      budget.most * (query ? 0.45 : 0.8),
    );
    const { templates, of } = mineTemplates(document);
    const base = coverage(document, query, bonus);
    const shown = new Int32Array(templates.length);
    return choose(
      document,
      budget,
      {
        thrift: base.thrift,
        gain(unit) {
          const made = of[unit] as number;
          const example = made >= 0 && !shown[made] ? Math.log1p((templates[made] as Template).members.length) : 0;
          return base.gain(unit) + example;
        },
        kept(unit) {
          base.kept?.(unit);
          const made = of[unit] as number;
          if (made >= 0) shown[made] = (shown[made] as number) + 1;
        },
        dropped(unit) {
          base.dropped?.(unit);
          const made = of[unit] as number;
          if (made >= 0) shown[made] = (shown[made] as number) - 1;
        },
      },
      forced,
    );
  },
};
