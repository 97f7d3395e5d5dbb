// Which language a text is in, as far as its script and its commonest words tell: enough to notice that a model answered in another one.
import { z } from 'zod';

/** A tag of BCP 47. */
export const languageTag = z.string().regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/);

/** Words that stand in nearly every text of some sentences, and seldom in the other languages here. */
const common: Record<string, string> = {
  en: 'the and is are of with you your for this that it from have not we our be can will',
  de: 'der die das und ist nicht mit für ein eine sie ihr ihre wir auf auch den dem von zu',
  fr: 'le la les des et est une dans pour vous votre nous avec pas sur ce cette qui du au',
  es: 'el los las y es una para con usted su tu por que no del al como más este esta',
  it: 'il gli e è una per con il tuo della che non di sono nel alla questo questa anche più',
  pt: 'o os e é uma para com você seu sua não do da dos das em ao mais este esta',
  nl: 'de het een en is van met voor u uw niet op zijn dat deze wij ook je aan te',
  sv: 'och är det en ett att som för med din du på av inte vi den till kan har',
  pl: 'i w na z do się nie jest to że dla twój oraz jak który czy od po ten',
};
const words = new Map(Object.entries(common).map(([language, list]) => [language, new Set(list.split(' '))]));

/** Scripts that belong to one language or a few; the first of them stands for a text in it. */
const scripts: [pattern: RegExp, languages: string[]][] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, ['ja']],
  [/\p{Script=Hangul}/gu, ['ko']],
  [/\p{Script=Han}/gu, ['zh', 'ja']],
  [/\p{Script=Cyrillic}/gu, ['ru', 'uk', 'bg', 'sr', 'be', 'mk', 'kk']],
  [/\p{Script=Arabic}/gu, ['ar', 'fa', 'ur', 'ps']],
  [/\p{Script=Greek}/gu, ['el']],
  [/\p{Script=Hebrew}/gu, ['he', 'yi', 'iw']],
  [/\p{Script=Devanagari}/gu, ['hi', 'mr', 'ne']],
  [/\p{Script=Thai}/gu, ['th']],
];

/** Common words that must be found before a text in Latin letters counts as of another language. */
const leastFound = 4;

/** Whether two tags of BCP 47 are of one language, whatever its script and region. */
export function isSameLanguage(one: string, other: string): boolean {
  return primaryOf(one) === primaryOf(other);
}

/** The language that the text is plainly in, where that is another than `wanted` (BCP 47); undefined when it is that one or cannot be told. */
export function otherLanguage(text: string, wanted: string): string | undefined {
  const primary = primaryOf(wanted);
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  for (const [pattern, languages] of scripts) {
    const share = (text.match(pattern)?.length ?? 0) / Math.max(1, letters);
    // Japanese mixes its own letters with Chinese ones.
    if (share > (languages[0] === 'ja' ? 0.2 : 0.5)) return languages.includes(primary) ? undefined : languages[0];
  }
  const isLatin = words.has(primary);
  const given = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const found = (language: string) => given.filter((word) => words.get(language)?.has(word)).length;
  const [best, most] = [...words.keys()]
    .map((language): [string, number] => [language, found(language)])
    .reduce((a, b) => (b[1] > a[1] ? b : a));
  if (most < leastFound || best === primary) return undefined;
  // Product names and quotations are in other languages too: twice as many words of the other one leave no doubt.
  const own = isLatin ? found(primary) : 0;
  return most >= 2 * own && (isLatin || scripts.some(([, languages]) => languages.includes(primary)))
    ? best
    : undefined;
}

function primaryOf(tag: string): string {
  return tag.toLowerCase().split('-')[0] as string;
}
