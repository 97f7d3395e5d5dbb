// A query through the stages: bytes, hash, local features, profile; each level runs those that it can afford.
import { setImmediate } from 'node:timers/promises';
import { MatcherError } from '../errors.ts';
import type { Features } from '../features/extract.ts';
import { firstOfEach, shareOfEach } from '../index/banks.ts';
import { parseHash, variants } from '../pdq/pdq.ts';
import type { Profile } from '../profile/similarity.ts';
import type { Bank, Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { Question, Shards } from '../shards/shards.ts';
import { entry, type MatchEntry } from './entry.ts';
import { type Fingerprint, Fingerprinter, type FingerprinterOptions, type Level, type Print } from './fingerprint.ts';
import { framesOf, type JudgedFrames, judgeFrames, type OfFrame, printsOf } from './frames.ts';
import { KnownItems } from './known.ts';
import type { Finding, Rules, Scored, Suppressed } from './verdict.ts';

export interface MatcherOptions extends FingerprinterOptions {
  readonly replica: Replica;
  readonly record: Recorded;
  readonly rules: Rules;
  readonly phonetic: boolean;
  /** What other pods hold; left out where this one holds all. */
  readonly shards?: Pick<Shards, 'own' | 'count' | 'find'> | undefined;
  /** A query is refused when a shard is missing; left out, its verdict tells. */
  readonly refuses?: boolean;
}

export interface Query {
  readonly tenant: string;
  readonly level: Level;
  readonly topK: number;
  readonly minScore: number;
  readonly banks?: readonly string[] | undefined;
  readonly fingerprint?: Fingerprint | undefined;
  readonly profile?: Profile | undefined;
}

export interface Verdict {
  readonly matched: boolean;
  readonly decidedBy: Finding['stage'] | null;
  readonly score: number;
  /** Of the hash; of an animation, the largest of its frames. */
  readonly quality: number | null;
  /** Left out for a still. */
  readonly frames?: JudgedFrames;
  readonly matches: readonly MatchEntry[];
  readonly suppressed: readonly MatchEntry[];
  /** Milliseconds by which the index may have been behind the record. */
  readonly indexAge: number;
  /** Where items are spread: shards that nobody answered for, whose items are not in this verdict. */
  readonly shards?: { readonly of: number; readonly missing: readonly number[] } | undefined;
}

/** The banks of one kind that a query asks for, and which of their items are in force. */
interface Asked {
  readonly banks: ReadonlyMap<number, Bank>;
  readonly admits: (item: { number: number; bank: number }) => boolean;
}

export class Matcher {
  readonly #options: MatcherOptions;
  readonly #known: KnownItems;
  readonly fingerprints: Fingerprinter;

  constructor(options: MatcherOptions) {
    this.#options = options;
    this.#known = new KnownItems(options);
    this.fingerprints = new Fingerprinter(options);
  }

  /** @throws MatcherError `ShardMissing` where that is to be refused, `RecordUnavailable` */
  async match(query: Query): Promise<Verdict> {
    const banks = this.#banksOf(query);
    const { findings, age, shards } = await this.#findEverywhere(query);
    const items = await this.#known.of(findings);
    const { fingerprint } = query;
    const sha256 = fingerprint?.sha256;
    const frames = fingerprint && framesOf(fingerprint);
    const present = findings.filter(({ number }) => items.get(number)?.tenant === query.tenant);
    // Of items that are found by their hash, the record says whether their bytes are the same too.
    const same = present.filter(({ number }) => sha256 && items.get(number)?.sha256 === sha256);
    const exact = same.map(({ number, bank }): Finding => ({ number, bank, stage: 'Exact' }));
    const { matches, suppressed } = judgeFrames(
      [...exact, ...present],
      frames?.judged ?? [0],
      banks,
      this.#options.rules,
    );
    const shownAs = (scored: OfFrame<Scored | Suppressed>) => entry(scored, items.get(scored.number), fingerprint);
    const kept = matches.filter(({ score }) => score >= query.minScore).slice(0, query.topK);
    return {
      matched: kept.length > 0,
      decidedBy: kept[0]?.stage ?? null,
      score: kept[0]?.score ?? 0,
      quality: fingerprint ? largestQuality(fingerprint) : null,
      ...(frames && { frames }),
      matches: kept.map(shownAs),
      suppressed: suppressed.slice(0, query.topK).map(shownAs),
      indexAge: age,
      ...(shards && { shards }),
    };
  }

  async #findEverywhere(query: Query): Promise<{ findings: Finding[]; age: number; shards: Verdict['shards'] }> {
    const { shards, refuses } = this.#options;
    const own = this.find(query);
    if (!shards) {
      const { findings, age } = await own;
      return { findings, age: Math.max(0, age), shards: undefined };
    }
    const [here, there] = await Promise.all([own, shards.find(query, shards.own)]);
    const { missing } = there;
    if (refuses && missing.length > 0)
      throw new MatcherError('ShardMissing', `of ${shards.count} shards nobody answers for ${missing.join(', ')}`);
    const findings = [...here.findings, ...there.findings];
    return { findings, age: Math.max(0, here.age, there.age), shards: { of: shards.count, missing } };
  }

  /**
   * What the stages find in this pod's own index.
   * @throws MatcherError `ShardMissing` or `RecordUnavailable` when the index became another between two frames.
   */
  async find(question: Question): Promise<{ findings: Finding[]; age: number }> {
    const { replica, shards } = this.#options;
    const { own } = shards ?? {};
    // While another shard is read, what is held is asked of others.
    if (shards && own === undefined) return { findings: [], age: 0 };
    const { age, generation } = replica;
    const findings = await this.#find(question, this.#banksOf(question));
    if (shards && shards.own !== own)
      throw new MatcherError('ShardMissing', 'this pod has taken another shard meanwhile');
    if (replica.generation !== generation) throw new MatcherError('RecordUnavailable', 'it was put back meanwhile');
    return { age, findings };
  }

  #banksOf({ tenant, banks }: Question): Map<number, Bank> {
    const asked = this.#options.replica
      .banksOf(tenant)
      .filter(({ name, kind }) => kind === 'Negative' || !banks || banks.includes(name));
    return new Map(asked.map((bank) => [bank.number, bank]));
  }

  /** Of each stage what is in force, in banks that are asked for, so much of each that none crowds out another. */
  async #find(query: Question, banks: ReadonlyMap<number, Bank>): Promise<Finding[]> {
    const { replica } = this.#options;
    const admits = ({ number, bank }: { number: number; bank: number }) => {
      const share = banks.get(bank)?.enabledRatio ?? 0;
      return share >= 1 || replica.shareOf(number) < share;
    };
    const prints = query.fingerprint ? printsOf(query.fingerprint) : [];
    const kinds = (['Positive', 'Negative'] as const).flatMap((wanted) => {
      const asked = [...banks.values()].filter(({ kind }) => kind === wanted);
      if (asked.length === 0) return [];
      const each = asked.length * Math.max(1, prints.length);
      const most = wanted === 'Negative' ? mostNegatives : shareOfEach(mostFindings, mostShown, each);
      const among: Asked = { banks: new Map(asked.map((bank) => [bank.number, bank])), admits };
      return [{ among, first: (found: Finding[]) => firstOfEach(found, ({ bank }) => bank, most) }];
    });
    const findings = kinds.flatMap(({ among, first }) => [
      ...first(this.#byBytes(query, among)),
      ...first(this.#byProfile(query, among)),
    ]);
    for (const [at, print] of prints.entries()) {
      // Other requests have their turn between two frames.
      if (at > 0) await setImmediate();
      for (const { among, first } of kinds) {
        const stages = [this.#byHash(print, among), this.#byFeatures(print, among), this.#byEmbedding(print, among)];
        const found = stages.flatMap((each) => first(each));
        findings.push(...(at > 0 ? found.map((each) => ({ ...each, frame: print.frame })) : found));
      }
    }
    return findings;
  }

  #byBytes({ fingerprint }: Question, { banks, admits }: Asked): Finding[] {
    if (!fingerprint?.sha256) return [];
    const found = this.#options.replica.byBytes(fingerprint.sha256);
    return found.filter((each) => banks.has(each.bank) && admits(each)).map((each) => ({ ...each, stage: 'Exact' }));
  }

  #byHash({ hashes, quality }: Print, { banks, admits }: Asked): Finding[] {
    if (quality < this.#options.minQuality) return [];
    const { replica, rules } = this.#options;
    // Banks may look farther than the pool, or less far.
    const radii = new Map([...banks].map(([number, { maxDistance }]) => [number, maxDistance ?? rules.maxDistance]));
    const best = new Map<number, Finding & { distance: number }>();
    const asked = new Set(banks.keys());
    hashes.forEach((text, i) => {
      for (const { number, bank, distance } of replica.byHash(parseHash(text), Math.max(...radii.values()), asked)) {
        const known = best.get(number)?.distance ?? 256;
        if (known <= distance || distance > (radii.get(bank) as number) || !admits({ number, bank })) continue;
        const hash = { distance, variant: variants[i] ?? 'Original' };
        best.set(number, { number, bank, stage: 'Hash', distance, hash });
      }
    });
    return [...best.values()].sort((a, b) => a.distance - b.distance || a.number - b.number);
  }

  #byFeatures({ features: ofPrint, mirrored: ofMirrored }: Print, { banks, admits }: Asked): Finding[] {
    const { replica } = this.#options;
    const bankOf = (number: number) => replica.bankOf(number) ?? -1;
    const find = (features: Features | null | undefined, among: readonly number[], mirrored: boolean): Finding[] =>
      features && among.length > 0
        ? replica
            .byFeatures(features, new Set(among), (number) => admits({ number, bank: bankOf(number) }))
            .map(({ number, alignment }) => ({
              number,
              bank: bankOf(number),
              stage: 'Features',
              alignment: { ...alignment, mirrored },
            }))
        : [];
    const asked = [...banks.keys()];
    const upright = find(ofPrint, asked, false);
    const found = new Set(upright.map(({ bank }) => bank));
    const others = asked.filter((bank) => !found.has(bank));
    return [...upright, ...find(ofMirrored, others, true)];
  }

  #byEmbedding({ embedding }: Print, { banks, admits }: Asked): Finding[] {
    const { replica, rules } = this.#options;
    if (!embedding) return [];
    const bankOf = (number: number) => replica.bankOf(number) ?? -1;
    const search = {
      minSimilarity: rules.minEmbeddingSimilarity,
      banks: new Set(banks.keys()),
      admits: (number: number) => admits({ number, bank: bankOf(number) }),
    };
    return replica.byEmbedding(embedding, search).map(({ number, similarity }) => ({
      number,
      bank: bankOf(number),
      stage: 'Embedding',
      embedding: { similarity },
    }));
  }

  #byProfile({ profile }: Question, { banks, admits }: Asked): Finding[] {
    if (!profile) return [];
    const { replica, rules, phonetic } = this.#options;
    const bankOf = (number: number) => replica.bankOf(number) ?? -1;
    return replica
      .byProfile(profile, {
        minSimilarity: rules.minProfileSimilarity,
        phonetic,
        banks: new Set(banks.keys()),
        admits: (number) => admits({ number, bank: bankOf(number) }),
      })
      .map(({ number, similarity, fields }) => ({
        number,
        bank: bankOf(number),
        stage: 'Profile',
        profile: { similarity, fields },
      }));
  }
}

function largestQuality(fingerprint: Fingerprint): number {
  return Math.max(...printsOf(fingerprint).map(({ quality }) => quality));
}

/** Items of a stage that are looked up in the record: of one bank, and of each at least, which is the largest `topK`. */
const mostFindings = 500;
const mostShown = 100;
/** Of each negative bank; one suppresses. */
const mostNegatives = 20;
