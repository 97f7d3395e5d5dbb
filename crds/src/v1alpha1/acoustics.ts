// The acoustics of a FieldJob: transducer arrays, media, traps and how they move. Positions are metres in one right-handed frame.
import { z } from 'zod';
import { claimPath, configMapKey } from './common.ts';
import {
  acceleration,
  angle,
  attenuation,
  decimal,
  density,
  duration,
  exactlyOne,
  frequency,
  int,
  keyed,
  length,
  list,
  memberOf,
  name,
  percentage,
  position,
  pressure,
  type Rule,
  ruled,
  set,
  speed,
  temperature,
  toggle,
} from './fields.ts';

/**
 * A direction is named by the plane it is normal to: a bare Y would be a boolean to YAML 1.1, which kubectl reads.
 */
export const plane = () => z.enum(['XY', 'XZ', 'YZ']);
export const fieldQuantities = ['Pressure', 'Intensity', 'Velocity', 'GorkovPotential', 'Force', 'Stiffness'] as const;

/** A table of numbers: a key of a ConfigMap or a file on a volume. */
const table = () =>
  ruled(
    z.object({
      configMap: configMapKey().exactOptional().describe('A key of a ConfigMap.'),
      persistentVolumeClaim: claimPath().exactOptional().describe('A file on a volume.'),
      format: z.enum(['CSV', 'JSON']).default('CSV').describe('CSV with a header line, or a JSON list of objects.'),
    }),
    exactlyOne('configMap', 'persistentVolumeClaim'),
  );

const gridMembers = {
  rows: int(1, 256).default(16).describe('Elements along y.'),
  columns: int(1, 256).default(16).describe('Elements along x.'),
  pitch: length().default('10.5mm').describe('Distance between the centres of neighbours.'),
};

const transducer = ruled(
  z.object({
    radius: length().default('4.5mm').describe('Radius of the piston.'),
    frequency: frequency().default('40kHz').describe('Frequency of the drive.'),
    pressureAt1m: pressure()
      .default('8Pa')
      .describe('Peak pressure on the axis in 1 m, of one element at full amplitude.'),
    directivity: z
      .enum(['Piston', 'Omnidirectional', 'Focused', 'Custom'])
      .default('Piston')
      .describe('Pattern of one element.'),
    focused: z
      .object({ focalLength: length().describe('Focal length of the element.') })
      .exactOptional()
      .describe('With directivity Focused.'),
    custom: table().exactOptional().describe('With directivity Custom: columns angle (degrees) and gain.'),
  }),
  ...memberOf('directivity', { Focused: 'focused', Custom: 'custom' }),
);

const hardware = z.object({
  channelMap: table().exactOptional().describe('Columns element and channel.'),
  calibration: table()
    .exactOptional()
    .describe('Columns element, amplitude (0 to 1) and phase (degrees), as measured.'),
  deadElements: set(int(0, 1_048_575), 1024)
    .exactOptional()
    .describe('Elements that give no sound; the solver works around them.'),
  export: set(z.enum(['AcousTools', 'Levitate', 'JSON']), 3)
    .exactOptional()
    .describe('Phases and amplitudes written beside the result, for boards.'),
});

export const array = ruled(
  z.object({
    type: z
      .enum(['Grid', 'TwoSided', 'Hemisphere', 'Custom'])
      .default('Grid')
      .describe('Shape; the member of that name describes it.'),
    grid: z
      .object(gridMembers)
      .exactOptional()
      .describe('A plane at z = 0, centred on the z axis, facing up. {} takes all defaults.'),
    twoSided: z
      .object({ ...gridMembers, separation: length().describe('Height of the upper grid, which faces down.') })
      .exactOptional()
      .describe('Two grids that face each other: the lower at z = 0, the upper at z = separation.'),
    hemisphere: z
      .object({
        radius: length().describe('Radius of the sphere; its centre is on the z axis at this height.'),
        elements: int(1, 65_536).default(256).describe('Elements, spread evenly.'),
        aperture: angle()
          .default('180deg')
          .describe('Angle that the cap spans as seen from the centre; 180deg is the whole half.'),
      })
      .exactOptional()
      .describe('A bowl that opens upwards, its lowest point at the origin.'),
    custom: table().exactOptional().describe('Columns x, y, z (metres) and nx, ny, nz (direction; +z when left out).'),
    transducer: transducer.prefault({}).describe('One element.'),
    hardware: hardware.exactOptional().describe('The real array: channels, calibration, dead elements.'),
  }),
  ...memberOf('type', { Grid: 'grid', TwoSided: 'twoSided', Hemisphere: 'hemisphere', Custom: 'custom' }),
);

export const medium = ruled(
  z.object({
    type: z.enum(['Air', 'Water', 'Custom']).default('Air').describe('What fills the volume.'),
    temperature: temperature().default('25C').describe('Sets speed of sound and density of air and water.'),
    humidity: percentage().default('50%').describe('Relative humidity of air; matters to absorption.'),
    absorption: toggle().default('Disabled').describe('Absorption in air by ISO 9613-1.'),
    custom: z
      .object({
        soundSpeed: speed().describe('Speed of sound.'),
        density: density().describe('Density.'),
        absorption: attenuation('NonNegative').default('0dB/m').describe('Absorption at the frequency of the drive.'),
      })
      .exactOptional()
      .describe('With type Custom.'),
    reflectors: keyed(
      z.object({
        name: name().describe('Name.'),
        plane: plane().describe('Which way it lies.'),
        at: length('Signed').describe('Its place on the third axis: a floor is XY at 0mm.'),
        coefficient: decimal('Signed').default('1').describe('Reflected pressure over arriving pressure, -1 to 1.'),
      }),
      6,
    )
      .exactOptional()
      .describe('Infinite planes, by image sources.'),
  }),
  ...memberOf('type', { Custom: 'custom' }),
);

export const target = ruled(
  z.object({
    name: name().describe('Name.'),
    position: position().describe('[x, y, z].'),
    trap: z
      .enum(['Focus', 'Twin', 'Vortex', 'Silence', 'Stiffness'])
      .default('Focus')
      .describe('What is made there; Stiffness holds the particle as firmly as phases can, by LBFGS or Adam.'),
    weight: decimal('Positive').default('1').describe('Share of the pressure against other targets.'),
    pressure: pressure().exactOptional().describe('Pressure to reach; left out, as much as there is.'),
    plane: plane().exactOptional().describe('Twin: plane between its two lobes. Left out, YZ.'),
    charge: int(-8, 8).exactOptional().describe('Vortex: topological charge. Left out, 1.'),
    radius: length().exactOptional().describe('Silence: radius of the quiet sphere. Left out, half a wavelength.'),
  }),
  onlyFor('plane', 'Twin'),
  onlyFor('charge', 'Vortex'),
  onlyFor('radius', 'Silence'),
);

const path = ruled(
  z.object({
    target: name().describe('Target that moves.'),
    waypoints: list(
      z.object({ at: duration().describe('Time since the start.'), position: position().describe('[x, y, z].') }),
      256,
    )
      .min(2)
      .exactOptional()
      .describe('Places to be passed, joined by a smooth curve.'),
    circle: z
      .object({
        center: position().describe('Centre.'),
        radius: length().describe('Radius.'),
        plane: plane().default('XY').describe('Plane that it lies in.'),
        period: duration().describe('Time of one turn.'),
      })
      .exactOptional()
      .describe('A circle.'),
    line: z
      .object({ to: position().describe('Far end.'), period: duration().describe('Time there and back.') })
      .exactOptional()
      .describe("From the target's position to another and back, sinusoidally."),
  }),
  exactlyOne('waypoints', 'circle', 'line'),
);

export const motion = z.object({
  frameRate: frequency().default('1kHz').describe('Frames a second.'),
  duration: duration().exactOptional().describe('Length; left out, the last waypoint or one period.'),
  maxPhaseStep: angle().default('30deg').describe('Largest change of an element between frames.'),
  maxAcceleration: acceleration().exactOptional().describe('Largest acceleration of a trap.'),
  paths: keyed(path, 16, 'target').min(1).describe('Which target moves how.'),
});

function onlyFor(
  member: 'plane' | 'charge' | 'radius',
  trap: string,
): Rule<Record<string, unknown> & { trap: string }> {
  return {
    cel: `!has(self.${member}) || self.trap == '${trap}'`,
    holds: (one) => one[member] === undefined || one.trap === trap,
    message: `${member} is only for trap: ${trap}`,
    field: [member],
  };
}
