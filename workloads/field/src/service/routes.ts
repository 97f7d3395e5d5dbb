// The HTTP side of the service.
import { type EngineServer, httpCache } from '@quintet/runtime';
import type { z } from 'zod';
import type { StoredQuantity } from '../compute/quantities.ts';
import { type Queries, shapeOf } from './queries.ts';
import { fieldAnswer, pointsAnswer, pointsRequest, sliceRequest, solveAnswer, solveRequest } from './schema.ts';
import { nameOf } from './work.ts';

/** Seconds that a client may hold a slice of a solution: what it is of never changes. */
const sliceAge = 3600;

export function routes(server: EngineServer, queries: () => Queries): void {
  server.get('/v1/field', { schema: { response: { 200: fieldAnswer } } }, async () => describe(queries()));
  server.post(
    '/v1/solve',
    { schema: { body: solveRequest, response: { 200: solveAnswer } } },
    async ({ body, identity: { tenant }, signal }) => queries().solve(tenant, body, signal),
  );
  server.post(
    '/v1/points',
    { schema: { body: pointsRequest, response: { 200: pointsAnswer } } },
    async ({ body, identity: { tenant }, signal }) => {
      const { solution, floats } = await queries().points(tenant, body, signal);
      return { solution, values: valuesOf(body.quantities, floats) };
    },
  );
  server.get('/v1/slice', { schema: { querystring: sliceRequest } }, async (request, reply) => {
    const { query, identity, signal } = request;
    const { body, etag, source, shape } = await queries().slice(identity.tenant, query, signal);
    reply.header('x-quintet-source', source);
    // The tag is of the values; each form of them is another answer.
    if (httpCache(request, reply, { maxAge: sliceAge, etag: `${query.format}-${etag}` })) return reply.send();
    if (query.format === 'png') return reply.type('image/png').send(body);
    const { complex, components } = shapeOf(query.quantity);
    if (query.format === 'npy') return reply.type('application/octet-stream').send(npy(body, shape, complex));
    const floats = new Float32Array(body.buffer, body.byteOffset, body.length / 4);
    return { shape: shape.slice(0, 2), quantity: query.quantity, values: nested(floats, complex, components) };
  });
}

function describe({ scene, version }: Queries): z.input<typeof fieldAnswer> {
  const { name, emitters, frequency, wavelength, medium, solver, safety, targets, tolerance } = scene;
  return {
    name,
    version,
    elements: emitters.elements.count,
    frequency,
    wavelength,
    medium: { soundSpeed: medium.soundSpeed, density: medium.density },
    algorithm: solver.algorithm,
    targets: targets.map(({ name: of, trap, position }) => ({ name: of, trap, position: [...position] })),
    limits: { ...safety, zones: safety.zones.map((zone) => ({ ...zone, center: [...zone.center] })) },
    tolerance,
  };
}

/** Values by the name of their array. */
export function valuesOf(
  quantities: readonly StoredQuantity[],
  floats: readonly Float32Array[],
): z.output<typeof pointsAnswer>['values'] {
  return Object.fromEntries(
    quantities.map((quantity, i) => {
      const { complex, components } = shapeOf(quantity);
      return [nameOf(quantity), nested(floats[i]!, complex, components)];
    }),
  );
}

function nested(floats: Float32Array, complex: boolean, components: 1 | 3): (number | (number | number[])[])[] {
  const flat = Array.from(floats);
  const values: (number | number[])[] = complex ? pieces(flat, 2) : flat;
  return components === 1 ? values : pieces(values, 3);
}

function pieces<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}

/** NumPy's file format, version 1.0: little-endian complex64 or float32 in C order. */
function npy(body: Buffer, shape: readonly number[], complex: boolean): Buffer {
  const counts = complex ? shape.slice(0, 2).concat(shape[2] === 6 ? [3] : []) : shape;
  const words = `{'descr': '${complex ? '<c8' : '<f4'}', 'fortran_order': False, 'shape': (${counts.join(', ')},), }`;
  const length = Math.ceil((10 + words.length + 1) / 64) * 64;
  const head = Buffer.alloc(length, ' ');
  head.write('\x93NUMPY', 'latin1');
  head.writeUInt8(1, 6);
  head.writeUInt8(0, 7);
  head.writeUInt16LE(length - 10, 8);
  head.write(words, 10, 'latin1');
  head.write('\n', length - 1, 'latin1');
  return Buffer.concat([head, body]);
}
