import '../testing/commonjs.ts';
import { eventually } from '@quintet/runtime/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decode } from '../image/decode.ts';
import { formatHash, PdqHasher } from '../pdq/pdq.ts';
import { animationOf, moving } from '../testing/animation.ts';
import { picture } from '../testing/picture.ts';
import { type Answer, startPool, type TestPool } from '../testing/pool.ts';

let pool: TestPool;
beforeAll(async () => {
  pool = await startPool();
}, 120_000);
afterAll(() => pool?.stop());

test('a registered image is found by itself, by another encoding, turned, and by its hash alone', async () => {
  const { id, png } = await pool.registered();
  expect(await pool.match({ image: png })).toMatchObject({
    matched: true,
    decidedBy: 'Exact',
    matches: [{ item: id, bank: 'default', distance: 0 }],
  });
  const jpeg = await sharp(png).jpeg({ quality: 50 }).toBuffer();
  const byImage = await pool.match({ image: jpeg });
  expect(byImage).toMatchObject({ matched: true, decidedBy: 'Hash', matches: [{ item: id }] });
  const turned = await sharp(png).rotate(90).png().toBuffer();
  const variant = expect.stringMatching(/^Rotate(90|270)$/) as string;
  expect(await pool.match({ image: turned })).toMatchObject({ matches: [{ item: id, evidence: { variant } }] });
  const { hash } = (await pool.call('GET', `/api/v1/items/${id}`)).body as { hash: string };
  const byHash = await pool.match({ hash });
  expect(byHash).toMatchObject({ matched: true, matches: [{ item: id, distance: 0 }] });
});

test('a lookup by hash alone finds what a lookup by the image finds, turned and mirrored too, at each level', async () => {
  const { id, png } = await pool.registered();
  const ways = [
    sharp(png),
    sharp(png).rotate(90),
    sharp(png).rotate(180),
    sharp(png).rotate(270),
    sharp(png).flop(),
    sharp(png).flip(),
    sharp(png).rotate(90).flop(),
    sharp(png).rotate(90).flip(),
  ];
  for (const level of ['Speed', 'Balanced', 'Memory']) {
    for (const [i, way] of ways.entries()) {
      const image = await way.clone().jpeg({ quality: 70 }).toBuffer();
      const hash = await hashOf(image);
      const [byImage, byHash] = [await pool.match({ image, level }), await pool.match({ hash, level })];
      const said = ({ matches }: Answer) => matches.map(({ item, evidence: { variant } }) => ({ item, variant }));
      expect(said(byHash)).toEqual(said(byImage));
      expect(said(byHash).some(({ item }) => item === id)).toBe(level !== 'Speed' || i === 0);
    }
  }
});

test('multipart and the bare image are taken as well as JSON', async () => {
  const { id, png } = await pool.registered();
  const form = new FormData();
  form.set('image', new Blob([new Uint8Array(png)], { type: 'image/gif' }), '../../etc/passwd');
  form.set('query', JSON.stringify({ topK: 1 }));
  const multipart = await fetch(`${pool.replicas[0]?.url}/api/v1/match`, { method: 'POST', body: form });
  expect(await multipart.json()).toMatchObject({ matches: [{ item: id }] });
  const bare = await fetch(`${pool.replicas[0]?.url}/api/v1/match`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: new Uint8Array(png),
  });
  expect(await bare.json()).toMatchObject({ matches: [{ item: id }] });
});

test('a picture too plain for its hash is found by the same bytes, and its registration says so', async () => {
  const plain = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#336699' } })
    .composite([{ input: await picture(900).then((png) => sharp(png).resize(12, 8).png().toBuffer()) }])
    .png()
    .toBuffer();
  const image = plain.toString('base64');
  const { body } = await pool.call('POST', '/api/v1/items', { id: 'plain', image });
  expect(body).toMatchObject({ findableBy: ['Exact', 'Features'] });
  expect((body as { quality: number }).quality).toBeLessThan(50);
  for (const level of ['Speed', 'Balanced', 'Memory']) {
    await eventually(async () =>
      expect(await pool.match({ image: plain, level })).toMatchObject({
        decidedBy: 'Exact',
        matches: [{ item: 'plain' }],
      }),
    );
  }
  const { hash, quality } = body as { hash: string; quality: number };
  expect((await pool.match({ hash, quality })).matched).toBe(false);
});

test.each(moving)('a picture that is hidden in a later frame of %s is found, and the frame named', async (format) => {
  const { id, png } = await pool.registered();
  const [white, grey] = [await flat('#fff'), await flat('#888')];
  const file = await animationOf(format, [white, grey, png, white, await picture(950)]);
  expect(await pool.match({ image: file, level: 'Speed' })).toMatchObject({
    decidedBy: 'Hash',
    frames: { of: 5, read: 5, judged: [0, 2, 4] },
    matches: [{ item: id, evidence: { frame: 2 } }],
  });
});

test('a crop that is hidden in a later frame is found by its corners', async () => {
  const { id, png } = await pool.registered();
  const crop = await sharp(png).extract({ left: 0, top: 0, width: 400, height: 300 }).png().toBuffer();
  const shown = await sharp(await flat('#fff'))
    .composite([{ input: crop }])
    .png()
    .toBuffer();
  const file = await animationOf('APNG', [await flat('#888'), shown]);
  expect(await pool.match({ image: file, level: 'Accuracy' })).toMatchObject({
    decidedBy: 'Features',
    matches: [{ item: id, evidence: { frame: 1 } }],
  });
});

test('an animation of which no frame is known matches nothing, and a still tells of no frames', async () => {
  const { png } = await pool.registered();
  const strangers = await Promise.all(
    Array.from(
      { length: 12 },
      async (_, i) =>
        await sharp(await picture(970 + i))
          .resize(280)
          .png()
          .toBuffer(),
    ),
  );
  const answer = await pool.match({ image: await animationOf('GIF', strangers), level: 'Accuracy' });
  expect(answer).toMatchObject({ matched: false, frames: { of: 12, read: 12 } });
  expect(answer.frames?.judged).toHaveLength(8);
  const still = await pool.match({ image: png });
  expect(still).not.toHaveProperty('frames');
  expect(still.matches[0]?.evidence).not.toHaveProperty('frame');
});

test('an animation is registered by its first frame that says something, and found again as another format', async () => {
  const frames = [await flat('#000'), await picture(990), await picture(991)];
  const image = (await animationOf('GIF', frames)).toString('base64');
  const { status, body } = await pool.call('POST', '/api/v1/items', { id: 'clip', image });
  expect({ status, body }).toMatchObject({
    status: 201,
    body: { frame: { index: 1, of: 3 }, findableBy: ['Exact', 'Hash', 'Features'] },
  });
  const again = await animationOf('WebP', frames);
  await eventually(async () =>
    expect(await pool.match({ image: again })).toMatchObject({ matches: [{ item: 'clip', evidence: { frame: 1 } }] }),
  );
  expect(await pool.match({ image: Buffer.from(image, 'base64') })).toMatchObject({ decidedBy: 'Exact' });
});

test('what a negative bank knows of one frame does not hide what another frame shows', async () => {
  await pool.call('PUT', '/api/v1/banks/consented', { kind: 'Negative' });
  const { id, png } = await pool.registered();
  const harmless = await picture(1000);
  const item = { id: 'harmless', bank: 'consented', image: harmless.toString('base64') };
  expect((await pool.call('POST', '/api/v1/items', item)).status).toBe(201);
  const file = await animationOf('APNG', [harmless, png]);
  await eventually(async () => expect(await pool.match({ image: harmless })).toMatchObject({ matched: false }));
  expect(await pool.match({ image: file })).toMatchObject({
    matched: true,
    matches: [{ item: id, evidence: { frame: 1 } }],
    suppressed: [],
  });
});

test('a hash beside an image is refused by its name, as it would not be looked at', async () => {
  const { png } = await pool.registered();
  const hash = '0'.repeat(64);
  const refusal = { status: 400, body: { error: { code: 'INVALID_REQUEST', field: 'hash' } } };
  expect(await pool.call('POST', '/api/v1/match', { image: png.toString('base64'), hash })).toMatchObject(refusal);
});

test('an item that its bank’s ratio leaves out is found by no stage', async () => {
  await pool.call('PUT', '/api/v1/banks/half', { enabledRatio: 0.5 });
  const found: string[][] = [];
  for (let i = 0; i < 8; i++) {
    const png = await picture(700 + i);
    const profile = { name: `Bartholomew Half${'abcdefgh'[i]}ington${i}` };
    const item = { id: `half-${i}`, bank: 'half', image: png.toString('base64'), profile };
    expect((await pool.call('POST', '/api/v1/items', item)).status).toBe(201);
    await pool.call('PUT', '/api/v1/banks/half', { enabledRatio: 1 });
    await eventually(async () => expect((await pool.match({ image: png, banks: ['half'] })).matched).toBe(true));
    await pool.call('PUT', '/api/v1/banks/half', { enabledRatio: 0.5 });
    // A replica that knows what was written after it knows it too.
    const hash = `${i}`.padStart(64, '9');
    await pool.call('POST', '/api/v1/items', { id: `after-${i}`, hash });
    await eventually(async () =>
      expect((await pool.match({ hash })).matches).toContainEqual(expect.objectContaining({ item: `after-${i}` })),
    );
    const jpeg = await sharp(png).jpeg({ quality: 60 }).toBuffer();
    const crop = await sharp(png).extract({ left: 100, top: 60, width: 360, height: 270 }).jpeg().toBuffer();
    const answers = [
      await pool.match({ image: png, banks: ['half'] }),
      await pool.match({ image: jpeg, banks: ['half'] }),
      await pool.match({ image: crop, level: 'Accuracy', banks: ['half'] }),
      await pool.match({ profile, banks: ['half'] }),
    ];
    found.push(answers.map(({ matches }) => String(matches.some((each) => each.item === `half-${i}`))));
  }
  expect(found.filter((each) => new Set(each).size !== 1)).toEqual([]);
  const inForce = found.filter(([first]) => first === 'true').length;
  expect(inForce).toBeGreaterThan(0);
  expect(inForce).toBeLessThan(7);
});

test('a crop is found at level Accuracy, with the region, and not at level Speed', async () => {
  const { id, png } = await pool.registered();
  const crop = await sharp(png).extract({ left: 100, top: 60, width: 360, height: 270 }).jpeg().toBuffer();
  const found = await pool.match({ image: crop, level: 'Accuracy' });
  expect(found).toMatchObject({ decidedBy: 'Features', matches: [{ item: id, evidence: { mirrored: false } }] });
  expect(await pool.match({ image: crop, level: 'Speed' })).toMatchObject({ matched: false });
});

test('a profile is found by a name spelled otherwise, and an image with its profile scores above the image alone', async () => {
  const profile = { name: 'Konstantina Papadopoulou', attributes: { country: 'GR' } };
  const { id, png } = await pool.registered({ profile });
  const query = { name: 'Constantina Papadopulou', attributes: { country: 'gr' } };
  expect(await pool.match({ profile: query })).toMatchObject({ decidedBy: 'Profile', matches: [{ item: id }] });
  const jpeg = await sharp(png).jpeg({ quality: 20 }).toBuffer();
  const alone = await pool.match({ image: jpeg });
  const both = await pool.match({ image: jpeg, profile: query });
  expect(both.score).toBeGreaterThan(alone.score);
});

test('an image asked for again comes from the cache, with the same verdict', async () => {
  const { png } = await pool.registered();
  const first = await pool.match({ image: png });
  const second = await pool.match({ image: png });
  expect([first.cached, second.cached]).toEqual([false, true]);
  expect(second.matches).toEqual(first.matches);
});

test('a batch answers each query, the refused ones with their error', async () => {
  const { id, png } = await pool.registered();
  const image = png.toString('base64');
  const malformed = [{ image, topK: 0 }, { image, colour: 'red' }, 7, {}];
  const queries = [{ image }, { image: 'bm8gaW1hZ2U=' }, { profile: { name: 'nobody' } }, ...malformed];
  const { status, body } = await pool.call('POST', '/api/v1/match/batch', { queries });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    results: [
      { matches: [{ item: id }] },
      { error: { code: 'UNPROCESSABLE' } },
      { matched: false },
      { error: { code: 'INVALID_REQUEST', field: 'topK' } },
      ...[1, 2, 3].map(() => ({ error: { code: 'INVALID_REQUEST' } })),
    ],
  });
});

async function flat(background: string): Promise<Buffer> {
  return await sharp({ create: { width: 560, height: 420, channels: 3, background } })
    .png()
    .toBuffer();
}

async function hashOf(image: Buffer): Promise<string> {
  const { pixels } = await decode(image);
  return formatHash(new PdqHasher().hash(pixels).hash);
}
