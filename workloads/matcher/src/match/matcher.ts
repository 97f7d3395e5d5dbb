// A query through the stages: bytes, hash, local features, profile; each level runs those that it can afford.
import type { Embedder } from '../embedding/embedder.ts';
import { MatcherError } from '../errors.ts';
import { FeatureExtractor, type Features, pack } from '../features/extract.ts';
import { type DecodeLimits, decode, defaultLimits, digest } from '../image/decode.ts';
import { Slots } from '../image/slots.ts';
import { firstOfEach, shareOfEach } from '../index/banks.ts';
import { formatHash, PdqHasher, type Pixels, parseHash, type Variant, variants } from '../pdq/pdq.ts';
import type { Profile } from '../profile/similarity.ts';
import type { Bank, NewItem, Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { Question, Shards } from '../shards/shards.ts';
import { entry, type MatchEntry } from './entry.ts';
import { KnownItems } from './known.ts';
import { type Finding, judge, type Rules, type Scored, type Suppressed } from './verdict.ts';

export const levels = ['Speed', 'Balanced', 'Accuracy', 'Memory'] as const;
export type Level = (typeof levels)[number];

export interface MatcherOptions {
  readonly replica: Replica;
  readonly record: Recorded;
  readonly rules: Rules;
  readonly minQuality: number;
  readonly dihedral: boolean;
  /** Local features are taken at registration and asked at level Accuracy. */
  readonly crops: boolean;
  readonly phonetic: boolean;
  /** What other pods hold; left out where this one holds all. */
  readonly shards?: Pick<Shards, 'own' | 'count' | 'find'> | undefined;
  /** A query is refused when a shard is missing; left out, its verdict tells. */
  readonly refuses?: boolean;
  /** Left out where the pool mounts no model. */
  readonly embedder?: Pick<Embedder, 'version' | 'embed'> | undefined;
  readonly limits?: DecodeLimits;
}

/** What stands in for the image, so that equal pictures meet in the cache whatever tier they were found in. */
export interface Fingerprint {
  readonly sha256: string | null;
  readonly hashes: readonly string[];
  readonly quality: number;
  readonly features: Features | null;
  readonly mirrored: Features | null;
  readonly embedding: Float32Array | null;
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
  readonly quality: number | null;
  readonly matches: readonly MatchEntry[];
  readonly suppressed: readonly MatchEntry[];
  /** Milliseconds by which the index may have been behind the record. */
  readonly indexAge: number;
  /** Where items are spread: shards that nobody answered for, whose items are not in this verdict. */
  readonly shards?: { readonly of: number; readonly missing: readonly number[] };
}

/** The banks of one kind that a query asks for, and which of their items are in force. */
interface Asked {
  readonly banks: ReadonlyMap<number, Bank>;
  readonly admits: (item: { number: number; bank: number }) => boolean;
}

/** Corners of an item, and of a query, which may show only a part of it. */
const cornersOfItem = 300;
const cornersOfQuery = 500;

export class Matcher {
  readonly #options: MatcherOptions;
  readonly #hasher = new PdqHasher();
  readonly #extractor = new FeatureExtractor();
  readonly #slots = new Slots();
  readonly #known: KnownItems;
  readonly #fingerprintOf = new Map<Level, string>();

  constructor(options: MatcherOptions) {
    this.#options = options;
    this.#known = new KnownItems(options);
  }

  /** What else than the bytes of an image its fingerprint depends on: a part of every key that one is kept under. */
  fingerprintOf(level: Level): string {
    let known = this.#fingerprintOf.get(level);
    if (known !== undefined) return known;
    const { dihedral, embedder, limits = defaultLimits } = this.#options;
    known = JSON.stringify({ ...this.#taken(level), mirrored: dihedral, model: embedder?.version, limits });
    this.#fingerprintOf.set(level, known);
    return known;
  }

  /** Ways in which the hash of an image is looked for. */
  waysOf(level: Level): readonly Variant[] {
    return this.#taken(level).turned ? variants : ['Original'];
  }

  #taken(level: Level): { turned: boolean; corners: boolean } {
    const turned = this.#options.dihedral && level !== 'Speed';
    return { turned, corners: level === 'Accuracy' && this.#options.crops };
  }

  /** @throws MatcherError when the image is refused. */
  async fingerprint(file: Uint8Array, level: Level, signal?: AbortSignal): Promise<Fingerprint> {
    const { pixels } = await this.#decode(file, signal);
    const { turned, corners } = this.#taken(level);
    const embedding = (await this.#options.embedder?.embed(pixels, signal)) ?? null;
    const { hashes, quality } = turned ? this.#hasher.dihedral(pixels) : oneOf(this.#hasher.hash(pixels));
    return {
      sha256: digest(file),
      hashes: hashes.map(formatHash),
      quality,
      features: corners ? this.#extractor.extract(pixels, cornersOfQuery) : null,
      embedding,
      mirrored: corners && this.#options.dihedral ? this.#extractor.extract(mirror(pixels), cornersOfQuery) : null,
    };
  }

  /** What is registered of an image. */
  async describe(file: Uint8Array): Promise<Omit<NewItem, 'id' | 'bank'>> {
    const { pixels } = await this.#decode(file);
    const { hash, quality } = this.#hasher.hash(pixels);
    const features = this.#options.crops ? pack(this.#extractor.extract(pixels, cornersOfItem)) : undefined;
    const { embedder } = this.#options;
    const vector = await embedder?.embed(pixels);
    const embedding = vector && Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    return { sha256: digest(file), hash, quality, features, embedding, embeddingModel: embedder?.version };
  }

  async #decode(file: Uint8Array, signal?: AbortSignal) {
    const { limits = defaultLimits } = this.#options;
    return await this.#slots.run(file.length, async () => await decode(file, limits), signal);
  }

  /** @throws MatcherError `ShardMissing` where that is to be refused, `RecordUnavailable` */
  async match(query: Query): Promise<Verdict> {
    const { rules, shards, refuses } = this.#options;
    const banks = this.#banksOf(query);
    const own = this.find(query);
    const others = await shards?.find(query, shards.own);
    if (refuses && shards && others && others.missing.length > 0) {
      throw new MatcherError(
        'ShardMissing',
        `of ${shards.count} shards nobody answers for ${others.missing.join(', ')}`,
      );
    }
    const findings = [...own.findings, ...(others?.findings ?? [])];
    const items = await this.#known.of(findings);
    const { sha256 } = query.fingerprint ?? {};
    const present = findings.filter(({ number }) => items.get(number)?.tenant === query.tenant);
    // Of items that are found by their hash, the record says whether their bytes are the same too.
    const same = present.filter(({ number }) => sha256 && items.get(number)?.sha256 === sha256);
    const exact = same.map(({ number, bank }): Finding => ({ number, bank, stage: 'Exact' }));
    const { matches, suppressed } = judge([...exact, ...present], banks, rules);
    const shownAs = (scored: Scored | Suppressed) => entry(scored, items.get(scored.number), query);
    const kept = matches.filter(({ score }) => score >= query.minScore).slice(0, query.topK);
    return {
      matched: kept.length > 0,
      decidedBy: kept[0]?.stage ?? null,
      score: kept[0]?.score ?? 0,
      quality: query.fingerprint?.quality ?? null,
      matches: kept.map(shownAs),
      suppressed: suppressed.slice(0, query.topK).map(shownAs),
      indexAge: Math.max(0, own.age, others?.age ?? 0),
      ...(shards && { shards: { of: shards.count, missing: others?.missing ?? [] } }),
    };
  }

  /** What the stages find in this pod's own index. */
  find(question: Question): { findings: Finding[]; age: number } {
    const { replica, shards } = this.#options;
    // While another shard is read, what is held is asked of others.
    if (shards && shards.own === undefined) return { findings: [], age: 0 };
    return { age: replica.age, findings: this.#find(question, this.#banksOf(question)) };
  }

  #banksOf({ tenant, banks }: Question): Map<number, Bank> {
    const asked = this.#options.replica
      .banksOf(tenant)
      .filter(({ name, kind }) => kind === 'Negative' || !banks || banks.includes(name));
    return new Map(asked.map((bank) => [bank.number, bank]));
  }

  /** Of each stage what is in force, in banks that are asked for, so much of each that none crowds out another. */
  #find(query: Question, banks: ReadonlyMap<number, Bank>): Finding[] {
    const { replica } = this.#options;
    const admits = ({ number, bank }: { number: number; bank: number }) => {
      const share = banks.get(bank)?.enabledRatio ?? 0;
      return share >= 1 || replica.shareOf(number) < share;
    };
    const kinds = (['Positive', 'Negative'] as const).map((wanted) =>
      [...banks.values()].filter(({ kind }) => kind === wanted),
    );
    return kinds.flatMap((asked) => {
      if (asked.length === 0) return [];
      const most = asked[0]?.kind === 'Negative' ? mostNegatives : shareOfEach(mostFindings, mostShown, asked.length);
      const among = { banks: new Map(asked.map((bank) => [bank.number, bank])), admits };
      return [
        this.#byBytes(query, among),
        this.#byHash(query, among),
        this.#byFeatures(query, among),
        this.#byEmbedding(query, among),
        this.#byProfile(query, among),
      ].flatMap((found) => firstOfEach(found, ({ bank }) => bank, most));
    });
  }

  #byBytes({ fingerprint }: Question, { banks, admits }: Asked): Finding[] {
    if (!fingerprint?.sha256) return [];
    const found = this.#options.replica.byBytes(fingerprint.sha256);
    return found.filter((each) => banks.has(each.bank) && admits(each)).map((each) => ({ ...each, stage: 'Exact' }));
  }

  #byHash({ fingerprint }: Question, { banks, admits }: Asked): Finding[] {
    if (!fingerprint || fingerprint.quality < this.#options.minQuality) return [];
    const { replica, rules } = this.#options;
    // Banks may look farther than the pool, or less far.
    const radii = new Map([...banks].map(([number, { maxDistance }]) => [number, maxDistance ?? rules.maxDistance]));
    const best = new Map<number, Finding & { distance: number }>();
    const asked = new Set(banks.keys());
    fingerprint.hashes.forEach((text, i) => {
      for (const { number, bank, distance } of replica.byHash(parseHash(text), Math.max(...radii.values()), asked)) {
        const known = best.get(number)?.distance ?? 256;
        if (known <= distance || distance > (radii.get(bank) as number) || !admits({ number, bank })) continue;
        const hash = { distance, variant: variants[i] ?? 'Original' };
        best.set(number, { number, bank, stage: 'Hash', distance, hash });
      }
    });
    return [...best.values()].sort((a, b) => a.distance - b.distance || a.number - b.number);
  }

  #byFeatures({ fingerprint }: Question, { banks, admits }: Asked): Finding[] {
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
    const upright = find(fingerprint?.features, asked, false);
    const found = new Set(upright.map(({ bank }) => bank));
    const others = asked.filter((bank) => !found.has(bank));
    return [...upright, ...find(fingerprint?.mirrored, others, true)];
  }

  #byEmbedding({ fingerprint }: Question, { banks, admits }: Asked): Finding[] {
    const { replica, rules } = this.#options;
    if (!fingerprint?.embedding) return [];
    const bankOf = (number: number) => replica.bankOf(number) ?? -1;
    const search = {
      minSimilarity: rules.minEmbeddingSimilarity,
      banks: new Set(banks.keys()),
      admits: (number: number) => admits({ number, bank: bankOf(number) }),
    };
    return replica.byEmbedding(fingerprint.embedding, search).map(({ number, similarity }) => ({
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

function oneOf({ hash, quality }: { hash: Uint8Array; quality: number }) {
  return { hashes: [hash], quality };
}

/** Items of a stage that are looked up in the record: of one bank, and of each at least, which is the largest `topK`. */
const mostFindings = 500;
const mostShown = 100;
/** Of each negative bank; one suppresses. */
const mostNegatives = 20;

function mirror({ data, width, height }: Pixels & { readonly channels: 3 }): Pixels {
  const out = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + width - 1 - x);
      const to = 3 * (y * width + x);
      out[to] = data[from] as number;
      out[to + 1] = data[from + 1] as number;
      out[to + 2] = data[from + 2] as number;
    }
  }
  return { data: out, width, height, channels: 3 };
}
