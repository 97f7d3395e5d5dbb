// Pairs of names, made from a seed: one person's written in two ways, or two people's that may well be alike.

import type { Random } from './pictures.ts';

const given =
  'James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica Thomas Karen Christopher Sarah Daniel Lisa Matthew Nancy Anthony Sandra Mark Ashley Steven Emily Andrew Kimberly Paul Margaret Joshua Donna Kenneth Michelle Kevin Carol Brian Amanda George Melissa Timothy Deborah Konstantin Konstantina Dmitri Olga Sergei Natalia Mohammed Fatima Ahmed Aisha Wei Ming Hiroshi Yuki Priya Arjun Carlos Sofia Miguel Lucia Pierre Camille Jürgen Ingrid Giulia Marco Mario Maria Joan Jon Jean Jane Stephen Stefan Eric Erik Katherine Catherine'.split(
    ' ',
  );
const family =
  'Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Papadopoulos Papadopoulou Ivanov Ivanova Petrov Tanaka Suzuki Watanabe Müller Schmidt Schneider Fischer Weber Meyer Maier Rossi Russo Ferrari Dubois Bernard Moreau Kowalski Nowak Svensson Johansson Hansen Olsen Andersen Smyth Clarke Thomsen'.split(
    ' ',
  );
const letters = 'abcdefghijklmnopqrstuvwxyz';
const spellings: readonly (readonly [string, string])[] = [
  ['ph', 'f'],
  ['c', 'k'],
  ['y', 'i'],
  ['th', 't'],
  ['sch', 'sh'],
  ['ei', 'ai'],
  ['ou', 'u'],
  ['z', 's'],
  ['v', 'w'],
  ['j', 'y'],
  ['ck', 'k'],
  ['ü', 'ue'],
];

export interface NamePair {
  readonly a: string;
  readonly b: string;
  readonly same: boolean;
}

/** As many of one person as of two; of two, half share a name. */
export function namePairs(count: number, random: Random): NamePair[] {
  return Array.from({ length: count }, () => {
    const person = [pick(given, random), pick(family, random)];
    const a = person.join(' ');
    if (random() < 0.5) return { a, b: otherwise(person, random), same: true };
    const which = random();
    const other = [pick(given, random), pick(family, random)];
    const shared = which < 0.25 ? [person[0], other[1]] : which < 0.5 ? [other[0], person[1]] : other;
    const b = shared.join(' ');
    return b === a ? { a, b, same: true } : { a, b: random() < 0.3 ? typo(b, random) : b, same: false };
  });
}

/** One to three of what people do to a name. */
function otherwise(person: readonly string[], random: Random): string {
  let [first = '', last = ''] = person;
  const times = 1 + Math.floor(3 * random() ** 2);
  let text = `${first} ${last}`;
  for (let i = 0; i < times; i++) {
    const what = random();
    if (what < 0.35) text = typo(text, random);
    else if (what < 0.55) text = respelled(text, random);
    else if (what < 0.7) text = text.split(' ').reverse().join(', ');
    else if (what < 0.8) text = `${first[0]}. ${last}`;
    else if (what < 0.9) text = `${first} ${pick(given, random)} ${last}`;
    else text = text.toUpperCase();
    [first = first, last = last] = text.split(' ');
  }
  return text;
}

function typo(text: string, random: Random): string {
  const at = 1 + Math.floor(random() * (text.length - 1));
  const letter = letters[Math.floor(random() * 26)] as string;
  const kind = Math.floor(random() * 4);
  if (kind === 0) return text.slice(0, at) + letter + text.slice(at + 1);
  if (kind === 1) return text.slice(0, at) + text.slice(at + 1);
  if (kind === 2) return text.slice(0, at) + letter + text.slice(at);
  return text.slice(0, at - 1) + (text[at] ?? '') + (text[at - 1] as string) + text.slice(at + 1);
}

function respelled(text: string, random: Random): string {
  const lower = text.toLowerCase();
  const able = spellings.filter(([from]) => lower.includes(from));
  if (able.length === 0) return typo(text, random);
  const [from, to] = pick(able, random);
  return lower.replace(from, to);
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T;
}
