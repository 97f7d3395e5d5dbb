// What the service is asked and what it answers. Lengths are metres as numbers, or texts with a unit as in the resource.
import { parseLength, parsePressure } from '@quintet/crds';
import { z } from 'zod';

const length = z.union([z.number(), z.string().max(64)]).transform((value, context) => {
  return typeof value === 'number' ? value : read(parseLength, value, context);
});
const pressure = z.union([z.number().positive(), z.string().max(64)]).transform((value, context) => {
  return typeof value === 'number' ? value : read(parsePressure, value, context);
});
const position = z.tuple([length, length, length]);
const plane = z.enum(['XY', 'XZ', 'YZ']);
const quantity = z.enum(['Pressure', 'Intensity', 'Velocity', 'GorkovPotential', 'Force', 'Stiffness']);
const solutionId = z.string().regex(/^[A-Za-z0-9_-]{1,43}$/);

/** Farther away nothing of an array is heard, and sums lose their phase. */
export const farthest = 1000;
const near = position.refine((values) => values.every((value) => Math.abs(value) <= farthest), {
  message: `must lie within ${farthest} m`,
});

const target = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    .optional()
    .describe('Left out, target-0 and so on.'),
  position: near.describe('[x, y, z].'),
  trap: z.enum(['Focus', 'Twin', 'Vortex', 'Silence']).default('Focus'),
  weight: z.number().positive().max(1e6).default(1).describe('Share of the pressure against other targets.'),
  pressure: pressure.optional().describe('Pressure to reach, Pa; left out, as much as there is.'),
  plane: plane.optional().describe('Twin: plane between its lobes.'),
  charge: z.int().min(-8).max(8).optional().describe('Vortex: topological charge.'),
  radius: length.optional().describe('Silence: radius of the quiet sphere.'),
});

const solver = z.strictObject({
  algorithm: z.enum(['Naive', 'IBP', 'WeightedGS', 'GSPAT', 'Eigen', 'Adam', 'LBFGS']).optional(),
  iterations: z.int().min(1).max(10_000).optional(),
  phaseLevels: z.int().min(0).max(65_536).optional(),
  amplitude: z.enum(['Fixed', 'Free']).optional(),
  amplitudeLevels: z.int().min(0).max(65_536).optional(),
  regularization: z.number().min(0).optional(),
  learningRate: z.number().positive().optional(),
  seed: z.int().min(0).max(2_147_483_647).optional(),
});

export const solveRequest = z.strictObject({
  targets: z.array(target).min(1).max(64),
  solver: solver.default({}).describe("Changes to the resource's solver."),
  measure: z
    .boolean()
    .default(true)
    .describe('Pressure and stiffness of each target; false for loops that need the drive alone.'),
});

export const mostPoints = 10_000;
export const pointsRequest = z.strictObject({
  solution: solutionId.optional().describe("Left out, that of the resource's targets."),
  points: z.array(near).min(1).max(mostPoints),
  quantities: z.array(quantity).min(1).max(6).default(['Pressure']),
});

/** A query string: everything is a text. */
export const sliceRequest = z.strictObject({
  solution: solutionId.optional(),
  plane: plane.default('XZ'),
  center: z
    .string()
    .max(200)
    .optional()
    .describe('x,y,z with units, such as 0mm,0mm,60mm. Left out, of the volume, or of the targets.'),
  width: z.string().max(64).optional().describe('Along the first axis of the plane.'),
  height: z.string().max(64).optional().describe('Along the second.'),
  spacing: z.string().max(64).optional().describe('Distance between points; left out, an eighth of the wavelength.'),
  quantity: quantity.default('Pressure'),
  format: z.enum(['png', 'npy', 'json']).default('png').describe('npy is what numpy.load reads.'),
});

export type SolveRequest = z.output<typeof solveRequest>;
export type PointsRequest = z.output<typeof pointsRequest>;
export type SliceRequest = z.output<typeof sliceRequest>;

export const fieldAnswer = z.object({
  name: z.string(),
  version: z.string().describe('Of all that answers follow from.'),
  elements: z.int(),
  frequency: z.number().describe('Hz.'),
  wavelength: z.number().describe('m.'),
  medium: z.object({
    soundSpeed: z.number().describe('m/s.'),
    density: z.number().describe('kg/m³.'),
  }),
  algorithm: z.string().describe('That solves where a request names none.'),
  targets: z
    .array(z.object({ name: z.string(), trap: z.string(), position: z.array(z.number()).describe('x, y, z, m.') }))
    .describe("The resource's own."),
  limits: z
    .object({
      action: z.enum(['Refuse', 'Clamp']),
      maxPressure: z.number().optional().describe('Pa, peak.'),
      maxIntensity: z.number().optional().describe('W/m².'),
      maxMechanicalIndex: z.number().optional(),
      maxThermalIndex: z.number().optional(),
      zones: z.array(
        z.object({
          name: z.string(),
          center: z.array(z.number()).describe('x, y, z, m.'),
          radius: z.number().describe('m.'),
          maxPressure: z.number().describe('Pa, peak.'),
        }),
      ),
    })
    .describe('That each solve is held to.'),
  tolerance: z.number().describe('Largest error over the largest pressure.'),
});

const reached = z.object({
  name: z.string(),
  trap: z.string(),
  position: z.array(z.number()),
  pressure: z.number().optional().describe('Pa, peak; with measure.'),
  stiffness: z.number().optional().describe('Smallest of the three along the axes, N/m; of traps only.'),
});

export const solveAnswer = z.object({
  solution: z.string().describe('Name it in later queries.'),
  algorithm: z.string(),
  iterations: z.int(),
  residual: z.number(),
  amplitudes: z.array(z.number()).describe('Drive of each element, 0 to 1.'),
  phases: z.array(z.number()).describe('Radians.'),
  targets: z.array(reached),
  safety: z.object({
    verdict: z.enum(['Safe', 'Clamped', 'NotLimited']),
    maxPressure: z.number().optional().describe('Largest found, Pa.'),
    margin: z.number().optional().describe('Smallest distance to a limit, over the limit.'),
    message: z.string().optional(),
  }),
  source: z.string().describe('miss: computed now; else the cache that had it.'),
});

const numbers = z.array(z.union([z.number(), z.array(z.union([z.number(), z.array(z.number())]))]));
export const pointsAnswer = z.object({
  solution: z.string(),
  values: z
    .record(z.string(), numbers)
    .describe('By quantity: a number, a vector, or for complex quantities [real, imaginary] in their place.'),
});

function read(parse: (text: string) => number, text: string, context: z.RefinementCtx): number {
  try {
    const value = parse(text);
    if (Number.isFinite(value)) return value;
    throw new Error(`${text} is not finite`);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
}
