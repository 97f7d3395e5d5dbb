// Multi-index hashing (Norouzi, Punjani, Fleet 2012) over 256-bit hashes with the chain condition of the pigeonring
// principle (Qin, Xiao 2018): if two hashes differ in at most r bits, some chunk t of the sixteen differs in at most
// r/16 and chunks t and t+1 together in at most 2r/16. So table t keeps chunk t+1 beside each item, and nearly all
// false candidates fall to a SIMD compare of memory read in order, before their hash is fetched. Exact at every r.

const CHUNKS: i32 = 16;
const KEYS: i32 = 65536;

/** The item was found already in this search. */
const SEEN: u8 = 0x80;

/** Fixed places below `firstFree`: the query, its masks, a bit for each bank that is asked for, the results (slot, distance). */
const QUERY: usize = 1024;
const MASKS: usize = 2048;
const ASKED: usize = 8192;
const RESULTS: usize = 65536;
export const capacityOfResults: i32 = 16384;
const FIRST: usize = 65536 + 16384 * 8;

let capacity: i32 = 0;
let tables: i32 = 0;
let hashes: usize = 0;
let numbers: usize = 0;
let banks: usize = 0;
let flags: usize = 0;
let offsets: usize = 0;
let slots: usize = 0;
let next: usize = 0;

/** Lays out a segment for so many items and tables (none: it is searched by a scan) and returns its bytes. */
export function layout(items: i32, tableCount: i32): usize {
  capacity = items;
  tables = tableCount;
  hashes = FIRST;
  numbers = hashes + 32 * usize(items);
  banks = numbers + 4 * usize(items);
  flags = banks + 2 * usize(items);
  offsets = (flags + usize(items) + 15) & ~15;
  slots = offsets + (tables > 0 ? 4 * usize(KEYS + 1) * usize(tables) : 0);
  next = slots + 4 * usize(items) * usize(tables);
  return next + 2 * usize(items) * usize(tables) + 64;
}

/** 0: hashes, 1: numbers, 2: banks, 3: flags, 4: query, 5: results, 6: banks asked for. */
export function section(which: i32): usize {
  if (which == 0) return hashes;
  if (which == 1) return numbers;
  if (which == 2) return banks;
  if (which == 3) return flags;
  if (which == 6) return ASKED;
  return which == 4 ? QUERY : RESULTS;
}

/**
 * Spreads the bits of `count` hashes at `at` so that each chunk has one bit of every row and of every column of the
 * transform: neighbouring frequencies correlate in photographs, and chunks should not. Distances stay as they are.
 */
export function spread(at: usize, count: i32): void {
  for (let n = 0; n < count; n++, at += 32) {
    for (let row = 0; row < 16; row++) {
      const word = load<u16>(at + 2 * row);
      store<u16>(at + 2 * row, u16((u32(word) << row) | (u32(word) >> (16 - row))));
    }
    transposeBits(at);
  }
}

/** Undoes `spread`. */
export function gather(at: usize, count: i32): void {
  for (let n = 0; n < count; n++, at += 32) {
    transposeBits(at);
    for (let row = 0; row < 16; row++) {
      const word = load<u16>(at + 2 * row);
      store<u16>(at + 2 * row, u16((u32(word) >> row) | (u32(word) << (16 - row))));
    }
  }
}

/** A 16 × 16 matrix of bits, halves exchanged at four sizes. */
function transposeBits(at: usize): void {
  let mask: u32 = 0x00ff;
  for (let size = 8; size > 0; size >>= 1, mask ^= (mask << size) & 0xffff) {
    for (let row = 0; row < 16; row = (row + size + 1) & ~size) {
      const upper = at + 2 * row;
      const lower = at + 2 * (row + size);
      const a = u32(load<u16>(upper));
      const b = u32(load<u16>(lower));
      const swap = ((a >> size) ^ b) & mask;
      store<u16>(lower, u16(b ^ swap));
      store<u16>(upper, u16(a ^ (swap << size)));
    }
  }
}

// Building goes in slices, so that a thread that serves is never held for long: for each table `count` over all
// items, `sum` once, `scatter` over all items, `settle` once.

export function count(table: i32, from: i32, to: i32): void {
  const keys = hashes + 2 * table;
  const base = offsets + 4 * usize(KEYS + 1) * usize(table);
  for (let item = from; item < to; item++) {
    const at = base + 4 * usize(load<u16>(keys + 32 * usize(item)));
    store<u32>(at, load<u32>(at) + 1);
  }
}

export function sum(table: i32): void {
  const base = offsets + 4 * usize(KEYS + 1) * usize(table);
  let total: u32 = 0;
  for (let key = 0; key <= KEYS; key++) {
    const here = load<u32>(base + 4 * usize(key));
    store<u32>(base + 4 * usize(key), total);
    total += here;
  }
}

export function scatter(table: i32, from: i32, to: i32): void {
  const keys = hashes + 2 * table;
  const following = hashes + 2 * ((table + 1) & (CHUNKS - 1));
  const base = offsets + 4 * usize(KEYS + 1) * usize(table);
  const slotsHere = slots + 4 * usize(capacity) * usize(table);
  const nextHere = next + 2 * usize(capacity) * usize(table);
  for (let item = from; item < to; item++) {
    const at = base + 4 * usize(load<u16>(keys + 32 * usize(item)));
    const position = usize(load<u32>(at));
    store<u32>(at, u32(position) + 1);
    store<u32>(slotsHere + 4 * position, item);
    store<u16>(nextHere + 2 * position, load<u16>(following + 32 * usize(item)));
  }
}

/** After scattering, each entry is the end of its bucket: move all by one, so that it is the beginning again. */
export function settle(table: i32): void {
  const base = offsets + 4 * usize(KEYS + 1) * usize(table);
  memory.copy(base + 4, base, 4 * usize(KEYS));
  store<u32>(base, 0);
}

let found: i32 = 0;
let bound: i32 = 0;
let q0: u64 = 0;
let q1: u64 = 0;
let q2: u64 = 0;
let q3: u64 = 0;

/**
 * Items of the first `items` slots within `radius` of the query (spread already), of banks that are asked for, without those whose
 * flags meet `hide`. Each table is asked for chunks within `reach`: at radius / 16 all are found, below it some. Returns how many lie in the results; when more were found than fit, the nearest are kept.
 */
export function search(items: i32, radius: i32, reach: i32, hide: u32): i32 {
  found = 0;
  bound = radius;
  q0 = load<u64>(QUERY);
  q1 = load<u64>(QUERY, 8);
  q2 = load<u64>(QUERY, 16);
  q3 = load<u64>(QUERY, 24);
  // Four changed bits of sixteen are 2 517 buckets a table: then reading every hash is cheaper.
  if (tables == 0 || reach > 3) {
    scan(items, u8(hide));
  } else {
    const masks = enumerate(reach);
    for (let table = 0; table < tables && bound >= 0; table++) probe(table, masks, (2 * radius) / CHUNKS, u8(hide));
  }
  for (let i = 0; i < found; i++) unmark(load<u32>(RESULTS + 8 * i));
  return found;
}

function scan(items: i32, hide: u8): void {
  for (let item = 0; item < items; item++) {
    const distance = distanceTo(item);
    if (distance <= bound && !(load<u8>(flags + usize(item)) & hide) && isAsked(item)) keep(item, distance);
  }
}

function probe(table: i32, masks: i32, pair: i32, hide: u8): void {
  const key = u32(load<u16>(QUERY + 2 * table));
  const following = i16x8.splat(load<i16>(QUERY + 2 * ((table + 1) & (CHUNKS - 1))));
  const base = offsets + 4 * usize(KEYS + 1) * usize(table);
  const slotsHere = slots + 4 * usize(capacity) * usize(table);
  const nextHere = next + 2 * usize(capacity) * usize(table);
  for (let m = 0; m < masks; m++) {
    const mask = u32(load<u16>(MASKS + 2 * m));
    const bucket = base + 4 * usize(key ^ mask);
    const begin = load<u32>(bucket);
    const end = load<u32>(bucket + 4);
    const limit = i16x8.splat(i16(pair - i32(popcnt(mask))));
    for (let at = begin; at < end; at += 8) {
      const differing = v128.xor(v128.load(nextHere + 2 * usize(at)), following);
      const bits = i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(differing));
      let lanes = i16x8.bitmask(i16x8.le_s(bits, limit));
      if (end - at < 8) lanes &= (1 << (end - at)) - 1;
      while (lanes) {
        const item = load<u32>(slotsHere + 4 * usize(at + ctz(lanes)));
        lanes &= lanes - 1;
        if (load<u8>(flags + usize(item)) & (hide | SEEN)) continue;
        const distance = distanceTo(item);
        if (distance <= bound && isAsked(item)) keep(item, distance);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function distanceTo(item: i32): i32 {
  const at = hashes + 32 * usize(item);
  return i32(
    popcnt(load<u64>(at) ^ q0) +
      popcnt(load<u64>(at, 8) ^ q1) +
      popcnt(load<u64>(at, 16) ^ q2) +
      popcnt(load<u64>(at, 24) ^ q3),
  );
}

// @ts-ignore: decorator
@inline
function isAsked(item: i32): bool {
  const bank = u32(load<u16>(banks + 2 * usize(item)));
  return ((load<u8>(ASKED + (bank >> 3)) >> u8(bank & 7)) & 1) != 0;
}

function keep(item: i32, distance: i32): void {
  if (found == capacityOfResults) makeRoom();
  if (distance > bound) return;
  store<u32>(RESULTS + 8 * found, item);
  store<u32>(RESULTS + 8 * found + 4, distance);
  found++;
  const flag = flags + usize(item);
  store<u8>(flag, load<u8>(flag) | SEEN);
}

/** Drops the last results at the farthest distance, at most half of all, and takes no more of them: nearer ones always find room. */
function makeRoom(): void {
  let farthest = 0;
  let count = 0;
  for (let i = 0; i < found; i++) {
    const distance = i32(load<u32>(RESULTS + 8 * i + 4));
    if (distance > farthest) count = 0;
    farthest = max(farthest, distance);
    if (distance == farthest) count++;
  }
  bound = farthest - 1;
  let staying = max(0, count - capacityOfResults / 2);
  let kept = 0;
  for (let i = 0; i < found; i++) {
    const result = load<u64>(RESULTS + 8 * i);
    if (i32(result >> 32) == farthest && --staying < 0) {
      unmark(u32(result));
    } else {
      store<u64>(RESULTS + 8 * kept, result);
      kept++;
    }
  }
  found = kept;
}

// @ts-ignore: decorator
@inline
function unmark(item: u32): void {
  const flag = flags + usize(item);
  store<u8>(flag, load<u8>(flag) & ~SEEN);
}

/** Masks of 16 bits, fewest bits first, up to three; where those of each count end. */
let listed: bool = false;
const ENDS: usize = 1920;

function enumerate(reach: i32): i32 {
  if (!listed) {
    listed = true;
    let total = 0;
    for (let bits = 0; bits <= 3; bits++) {
      for (let mask: u32 = 0; mask < u32(KEYS); mask++) {
        if (i32(popcnt(mask)) != bits) continue;
        store<u16>(MASKS + 2 * total, u16(mask));
        total++;
      }
      store<i32>(ENDS + 4 * bits, total);
    }
  }
  return load<i32>(ENDS + 4 * reach);
}
