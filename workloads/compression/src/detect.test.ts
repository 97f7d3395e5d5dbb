import { describe, expect, test } from 'vitest';
import { analyse } from './detect.ts';

const texts: Record<string, string> = {
  prose:
    'The harbour was quiet that morning. Two boats lay at the pier, and nobody spoke. Later the wind rose and they left. '.repeat(
      4,
    ),
  code: 'import { a } from "b";\n\nexport function sum(x: number, y: number) {\n  const z = x + y;\n  return z;\n}\n',
  json: '{"orders": [{"id": 1, "paid": true}, {"id": 2, "paid": false}]}',
  logs: '2026-11-20T08:00:01Z INFO start\n2026-11-20T08:00:02Z WARN slow query 900ms\n2026-11-20T08:00:03Z INFO stop\n',
  markdown: '# Title\n\nSome *text* with a [link](https://example.org).\n\n- one\n- two\n\n## More\n\n```sh\nls\n```\n',
  scientific:
    'Abstract. We test the hypothesis on a dataset [3]. Smith et al. report experiments with p < 0.05 (Fig. 2). Our methods differ significantly [4, 5]. '.repeat(
      3,
    ),
  legal:
    'The Licensee shall indemnify the Licensor pursuant to this Agreement. No warranty is given herein, and liability is excluded notwithstanding section 4. '.repeat(
      3,
    ),
  tabular: 'id,name,size\n1,a,10\n2,b,20\n3,c,30\n4,d,40\n',
  dialogue:
    'Anna: Are we ready?\nBen: Almost, one box is missing.\nAnna: Which one?\nBen: The blue one from Graz.\nAnna: I will call them.\n',
};

describe('content is told by', () => {
  for (const [type, text] of Object.entries(texts)) {
    test(`what makes it ${type}`, () => {
      expect(analyse(text).type).toBe(type);
    });
  }
});

test('languages are told by script and function words', () => {
  const languages = {
    en: 'This is what the people of the town have said to us.',
    de: 'Das ist nicht der Weg, den wir mit den anderen gegangen sind.',
    fr: 'Nous ne sommes pas dans la ville que vous avez vue avec les autres.',
    es: 'Los barcos que salen del puerto no son para las personas de la ciudad.',
    zh: '今天天气很好。我们去公园散步。',
    ja: 'きょうはいい天気ですね。',
    ar: 'ذهبت إلى السوق أمس',
    ru: 'Сегодня хорошая погода',
    und: '12 34 56',
  };
  expect(Object.fromEntries(Object.entries(languages).map(([code, text]) => [code, analyse(text).language]))).toEqual(
    Object.fromEntries(Object.keys(languages).map((code) => [code, code])),
  );
});

test('repetition and technical terms are scored from 0 to 1', () => {
  expect(analyse('The same line again.\n'.repeat(50)).repetition).toBeGreaterThan(0.9);
  expect(analyse(texts['prose']?.slice(0, 110) ?? '').repetition).toBeLessThan(0.1);
  const technical = analyse('call getUserName(userId) before set_max_len and HTTP2Server');
  expect(technical.terms).toContain('getusername');
  expect(technical.technical).toBeGreaterThan(0.4);
});
