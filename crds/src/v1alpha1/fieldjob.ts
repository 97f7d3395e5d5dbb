// FieldJob: acoustic holography. An array of transducers, what it shall hold where, the volume to compute, and what is safe.
import { z } from 'zod';
import { array, fieldQuantities, medium, motion, plane, target } from './acoustics.ts';
import {
  claimPath,
  gpu,
  gpuStatus,
  oneOutput,
  outputMembers,
  pod,
  resources,
  scheduling,
  statusBase,
  suspend,
} from './common.ts';
import { ageColumn, defineKind, type ResourceOf, replicasScale, statusColumn } from './definition.ts';
import {
  decimal,
  density,
  duration,
  exactlyOne,
  extent,
  int,
  intensity,
  keyed,
  length,
  list,
  name,
  ordered,
  position,
  pressure,
  type Rule,
  ruled,
  set,
  speed,
  time,
} from './fields.ts';
import { figure, healing, replicas, rollout, serviceMembers, serviceStatus } from './serving.ts';

const solver = z.object({
  algorithm: z
    .enum(['Naive', 'IBP', 'WeightedGS', 'GSPAT', 'Eigen', 'Adam', 'LBFGS'])
    .default('WeightedGS')
    .describe('How phases are found; Adam and LBFGS start from WeightedGS.'),
  iterations: int(1, 100_000).default(200).describe('Most iterations.'),
  phaseLevels: int(0, 65_536).default(256).describe('Phase steps of the hardware; 0 is continuous.'),
  amplitude: z
    .enum(['Fixed', 'Free'])
    .default('Fixed')
    .describe('Fixed drives every element fully; Free lets it be less.'),
  amplitudeLevels: int(0, 65_536).default(0).describe('Amplitude steps of the hardware with Free; 0 is continuous.'),
  regularization: decimal().default('0.01').describe('Tikhonov weight of Eigen, over the largest eigenvalue.'),
  learningRate: decimal('Positive').default('0.1').describe('Step of Adam.'),
  seed: int(0, 2_147_483_647).default(0).describe('Seed of the first phases.'),
});

const volume = z.object({
  center: position().describe('Centre of the box.'),
  size: extent().describe('Lengths of its edges.'),
  spacing: length().default('0.5mm').describe('Distance between points; below half a wavelength.'),
});

const safety = z.object({
  maxPressure: pressure().exactOptional().describe('Largest pressure anywhere in the volume.'),
  maxIntensity: intensity().exactOptional().describe('Largest intensity (ISPTA).'),
  maxMechanicalIndex: decimal('Positive').exactOptional().describe('Largest mechanical index.'),
  maxThermalIndex: decimal('Positive').exactOptional().describe('Largest thermal index.'),
  action: z
    .enum(['Refuse', 'Clamp'])
    .default('Refuse')
    .describe('Refuse stops before the field is computed; Clamp lowers the drive.'),
  zones: keyed(
    z.object({
      name: name().describe('Name.'),
      center: position().describe('Centre of the sphere.'),
      radius: length().describe('Radius.'),
      maxPressure: pressure().describe('Largest pressure inside.'),
    }),
    16,
  )
    .exactOptional()
    .describe('Places with a limit of their own.'),
});

const region = ruled(
  z.object({
    name: name().describe('Name.'),
    center: position().describe('Centre.'),
    radius: length().exactOptional().describe('Of a ball.'),
    size: extent().exactOptional().describe('Of a box along the axes: lengths of its edges.'),
    soundSpeed: speed().describe('Speed of sound inside.'),
    density: density().describe('Density inside.'),
  }),
  exactlyOne('radius', 'size'),
);

const timeDomain = z.object({
  cycles: int(1, 100_000).default(40).describe('Periods of the drive that are computed.'),
  burst: int(2, 10_000)
    .exactOptional()
    .describe('Periods of a tone burst under a Hann window; left out, the drive sounds on.'),
  cfl: decimal('Positive')
    .default('0.3')
    .describe('Courant number, at most 1: the share of a point that sound passes in a time step.'),
  pointsPerWavelength: int(3, 64)
    .default(5)
    .describe('Fewest points in the shortest wavelength; where those of the volume are fewer, more are put between.'),
  absorbingLayer: int(0, 64).default(20).describe('Points of the absorbing layer at each face.'),
  record: set(z.enum(['Maximum', 'RMS']), 2)
    .exactOptional()
    .describe('Arrays beside the amplitude: of the last period, or of all the time of a burst.'),
  sensors: keyed(z.object({ name: name().describe('Name.'), position: position().describe('[x, y, z].') }), 64)
    .exactOptional()
    .describe('Places whose pressure is kept at each time step.'),
  regions: keyed(region, 64).exactOptional().describe('Bodies of another medium; later ones lie over earlier ones.'),
  mediumMap: z
    .object({ persistentVolumeClaim: claimPath().describe('The group, on a volume.') })
    .exactOptional()
    .describe('Zarr group with the arrays soundSpeed and density on the points of the volume.'),
});

const output = ruled(
  z.object({
    ...outputMembers(),
    slices: list(
      z.object({
        plane: plane().describe('Plane that it shows.'),
        at: length('Signed')
          .exactOptional()
          .describe('Its place on the third axis; left out, through the centre of the volume.'),
        quantity: z.enum(fieldQuantities).default('Pressure').describe('What is drawn.'),
      }),
      16,
    )
      .prefault([{ plane: 'XZ' }])
      .describe('Pictures.'),
  }),
  oneOutput,
);

const parallelism = ruled(
  z.object({
    min: int(1, 1000).default(1).describe('Fewest pods at once.'),
    max: int(1, 1000).default(4).describe('Most pods at once.'),
  }),
  ordered('min', 'max'),
);

const spec = ruled(
  z.object({
    mode: z
      .enum(['Batch', 'Service'])
      .default('Batch')
      .describe('Batch computes the volume once; Service answers queries.'),
    array: array.describe('Transducers. The frame of all positions is the one described at its members.'),
    medium: medium.prefault({}).describe('What the sound travels in.'),
    particle: z
      .object({
        radius: length().default('1mm').describe('Radius.'),
        density: density().default('29kg/m3').describe('Density.'),
        soundSpeed: speed().default('900m/s').describe('Speed of sound inside.'),
      })
      .prefault({})
      .describe(
        "What is levitated, for GorkovPotential, Force and Stiffness. The defaults are expanded polystyrene's.",
      ),
    targets: keyed(target, 64).default([]).describe('What is made where.'),
    motion: motion.exactOptional().describe('Moving traps, solved frame by frame.'),
    solver: solver.prefault({}).describe('How phases are found.'),
    method: z
      .enum(['Auto', 'DirectSum', 'Interpolated', 'AngularSpectrum', 'TimeDomain'])
      .default('Auto')
      .describe('How the field is computed; Auto takes the fastest that keeps the tolerance.'),
    timeDomain: timeDomain.exactOptional().describe('With method TimeDomain; its defaults when left out.'),
    volume: volume.exactOptional().describe('Box that is computed.'),
    quantities: set(z.enum(fieldQuantities), 6)
      .min(1)
      .default(['Pressure'])
      .describe('What is computed at each point.'),
    tolerance: decimal('Positive').default('0.001').describe('Largest error over the largest pressure.'),
    safety: safety.prefault({}).describe('Limits.'),
    backend: z
      .enum(['Auto', 'GPU', 'CPU', 'Reference'])
      .default('Auto')
      .describe('Auto measures; Reference is the slow scalar one that proves the others.'),
    shards: ruled(
      z.object({
        max: int(1, 1024).default(16).describe('Most pieces that the volume is cut into.'),
        parallelism: parallelism.prefault({}).describe('Pods at once.'),
      }),
    )
      .prefault({})
      .describe('How the volume is spread over pods.'),
    retriesPerShard: int(0, 100).default(3).describe('How often a shard is tried again.'),
    activeDeadline: duration().exactOptional().describe('Longest time of the whole job, from its first pod.'),
    ttlAfterFinished: duration()
      .exactOptional()
      .describe('How long after its end its pods and Jobs are kept. The resource and its results stay.'),
    output: output.exactOptional().describe('Where results go.'),
    suspend: suspend(),
    resources: resources('1', '1Gi'),
    gpu: gpu().prefault({}).describe('GPUs of each pod.'),
    scheduling: scheduling().prefault({}).describe('Where pods run.'),
    pod: pod().exactOptional().describe('The few fields of a pod that people need.'),
    replicas: replicas().exactOptional(),
    ...serviceMembers(),
    healing: healing().exactOptional().describe('Self-healing of a service; its defaults when left out.'),
    rollout: rollout().exactOptional().describe('How changes of a service come in; its defaults when left out.'),
  }),
  requiredInBatch('volume'),
  requiredInBatch('output'),
  {
    cel: "self.mode == 'Service' || self.targets.size() > 0",
    holds: ({ mode, targets }) => mode === 'Service' || targets.length > 0,
    message: 'targets must have at least one target when mode is Batch',
    field: ['targets'],
  },
  ...(
    ['replicas', 'autoscaling', 'auth', 'cors', 'rateLimits', 'tenants', 'objectives', 'healing', 'rollout'] as const
  ).map(onlyInService),
  {
    cel: "self.backend != 'GPU' || self.gpu.policy == 'Required'",
    holds: ({ backend, gpu: { policy } }) => backend !== 'GPU' || policy === 'Required',
    message: 'backend GPU needs gpu.policy: Required (with Preferred use backend Auto)',
    field: ['gpu', 'policy'],
  },
  {
    cel: "!(self.backend in ['CPU', 'Reference']) || self.gpu.policy == 'None'",
    holds: ({ backend, gpu: { policy } }) => !['CPU', 'Reference'].includes(backend) || policy === 'None',
    message: 'backend CPU or Reference leaves a GPU unused: set gpu.policy to None, or backend to Auto',
    field: ['gpu', 'policy'],
  },
  {
    cel: "!has(self.timeDomain) || self.method == 'TimeDomain'",
    holds: ({ timeDomain: settings, method }) => settings === undefined || method === 'TimeDomain',
    message: 'timeDomain needs method: TimeDomain',
    field: ['timeDomain'],
  },
  {
    cel: '!has(self.motion) || self.motion.paths.all(path, self.targets.exists(target, target.name == path.target))',
    holds: ({ motion: moving, targets }) =>
      moving?.paths.every((each) => targets.some((one) => one.name === each.target)) ?? true,
    message: 'motion.paths: each target must be the name of one of targets',
    field: ['motion', 'paths'],
  },
);

const status = z.object({
  ...statusBase(),
  revision: z
    .string()
    .max(64)
    .exactOptional()
    .describe('Hash of the part of the spec that this status is the result of.'),
  startTime: time().exactOptional().describe('When the first pod started.'),
  completionTime: time().exactOptional().describe('When it ended.'),
  plan: z
    .object({
      shards: int(1, 1024).describe('Pieces that the volume is cut into.'),
      points: z.int().min(0).describe('Points of the volume.'),
      bytes: z.int().min(0).describe('Size of the result.'),
      memoryBytes: z.int().min(0).describe('Memory that a pod needs.'),
    })
    .exactOptional()
    .describe('What the first step found.'),
  warnings: list(z.string().max(512), 8).exactOptional().describe('What a person should know of the spec.'),
  progress: z
    .object({
      shards: int(0, 1024).exactOptional().describe('Pieces.'),
      done: int(0, 1024).exactOptional().describe('Pieces done.'),
      failed: int(0, 1024).exactOptional().describe('Pieces that failed for good.'),
      running: int(0, 1024).exactOptional().describe('Pods at work.'),
      percent: int(0, 100).exactOptional().describe('Points done.'),
      estimatedCompletionTime: time().exactOptional().describe('When it should end.'),
    })
    .exactOptional()
    .describe('How far it is.'),
  solution: z
    .object({
      residual: figure().describe('Difference of the targets from what was asked, over what was asked.'),
      iterations: int(0, 100_000).exactOptional().describe('Iterations taken.'),
      targets: keyed(
        z.object({
          name: name().describe('Target.'),
          pressure: figure().describe('Pressure there.'),
          stiffness: figure().describe('Smallest stiffness of the trap.'),
        }),
        64,
      )
        .exactOptional()
        .describe('What was reached.'),
    })
    .exactOptional()
    .describe('Result of the solver.'),
  throughput: z
    .object({
      points: z.int().min(0).exactOptional().describe('Points of the volume.'),
      pointsPerSecond: z.int().min(0).exactOptional().describe('Points a second, over all pods.'),
      backend: z.string().max(64).exactOptional().describe('Backend that ran.'),
      method: z.string().max(64).exactOptional().describe('Method that ran.'),
    })
    .exactOptional()
    .describe('Speed.'),
  safety: z
    .object({
      verdict: z
        .enum(['Safe', 'Clamped', 'Refused', 'NotLimited'])
        .exactOptional()
        .describe('NotLimited: the spec sets no limit.'),
      maxPressure: figure().describe('Largest pressure.'),
      maxIntensity: figure().describe('Largest intensity.'),
      margin: figure().describe('Smallest distance to a limit, over the limit.'),
      message: z.string().max(1024).exactOptional().describe('Which limit, where.'),
    })
    .exactOptional()
    .describe('Verdict on the limits.'),
  output: z
    .object({
      uri: z.string().max(2048).exactOptional().describe('Where the result is.'),
      bytes: z.int().min(0).exactOptional().describe('Its size.'),
      pictures: list(z.string().max(1024), 16).exactOptional().describe('Slices, below uri.'),
    })
    .exactOptional()
    .describe('Result.'),
  gpu: gpuStatus().exactOptional().describe('GPUs.'),
  ...serviceStatus(),
});

export const fieldJob = defineKind({
  kind: 'FieldJob',
  plural: 'fieldjobs',
  shortNames: ['fj'],
  description: 'Acoustic holography: finds the phases of a transducer array and computes the field they make.',
  spec,
  status,
  scale: replicasScale,
  printerColumns: [
    statusColumn,
    { name: 'Shards', type: 'integer', jsonPath: '.status.progress.shards', description: 'Pieces of the volume.' },
    { name: 'Progress', type: 'integer', jsonPath: '.status.progress.percent', description: 'Percent of the points.' },
    {
      name: 'Points/s',
      type: 'integer',
      jsonPath: '.status.throughput.pointsPerSecond',
      description: 'Points a second.',
    },
    { name: 'Backend', type: 'string', jsonPath: '.status.throughput.backend', description: 'Backend that ran.' },
    { name: 'Safety', type: 'string', jsonPath: '.status.safety.verdict', description: 'Verdict on the limits.' },
    {
      name: 'Output',
      type: 'string',
      jsonPath: '.status.output.uri',
      description: 'Where the result is.',
      priority: 1,
    },
    ageColumn,
  ],
});

export type FieldJob = ResourceOf<typeof fieldJob>;
export type FieldJobSpec = z.output<typeof spec>;
export type FieldJobStatus = z.output<typeof status>;

function requiredInBatch(member: 'volume' | 'output'): Rule<Record<string, unknown> & { mode: string }> {
  return {
    cel: `self.mode == 'Service' || has(self.${member})`,
    holds: (one) => one.mode === 'Service' || one[member] !== undefined,
    message: `${member} is required when mode is Batch`,
    field: [member],
  };
}

function onlyInService(member: string): Rule<Record<string, unknown> & { mode: string }> {
  return {
    cel: `!has(self.${member}) || self.mode == 'Service'`,
    holds: (one) => one[member] === undefined || one.mode === 'Service',
    message: `${member} is only for mode: Service`,
    field: [member],
  };
}
