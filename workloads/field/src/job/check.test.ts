import { describe, expect, it } from 'vitest';
import { check } from './check.ts';
import { smallProblem } from './testing.ts';

const focus = (position: string[], changes: Record<string, unknown> = {}) => [{ name: 'focus', position, ...changes }];

describe('bad input is refused with the field, before anything is computed', () => {
  it.each([
    {
      title: 'a target inside a transducer',
      spec: { array: { grid: { rows: 3, columns: 3 } }, targets: focus(['10mm', '0mm', '1mm']) },
      field: 'spec.targets[0].position',
      message: /inside a transducer/,
    },
    {
      title: 'a target behind a reflector',
      spec: {
        medium: { reflectors: [{ name: 'roof', plane: 'XY', at: '50mm' }] },
        targets: focus(['0mm', '0mm', '60mm']),
        volume: { center: ['0mm', '0mm', '30mm'], size: ['10mm', '10mm', '10mm'], spacing: '1mm' },
      },
      field: 'spec.targets[0].position',
      message: /behind reflector roof/,
    },
    {
      title: 'a volume that reaches behind a reflector',
      spec: { medium: { reflectors: [{ name: 'roof', plane: 'XY', at: '42mm' }] } },
      field: 'spec.volume',
      message: /behind reflector roof at 42mm/,
    },
    {
      title: 'a reflector between the elements',
      spec: { medium: { reflectors: [{ name: 'wall', plane: 'YZ', at: '0mm' }] } },
      field: 'spec.medium.reflectors[0].at',
      message: /between the elements/,
    },
    {
      title: 'a pressure over the limit',
      spec: { targets: focus(['0mm', '0mm', '40mm'], { pressure: '2kPa' }), safety: { maxPressure: '1kPa' } },
      field: 'spec.targets[0].pressure',
      message: /asks for 2kPa, at which pressure would reach 2kPa, over the limit of 1kPa/,
    },
    {
      title: 'a pressure whose intensity is over the limit',
      spec: { targets: focus(['0mm', '0mm', '40mm'], { pressure: '2kPa' }), safety: { maxIntensity: '1W/m2' } },
      field: 'spec.targets[0].pressure',
      message: /at which intensity would reach .*W\/m2, over the limit of 1W\/m2/,
    },
    {
      title: 'a pressure whose mechanical index is over the limit',
      spec: { targets: focus(['0mm', '0mm', '40mm'], { pressure: '2kPa' }), safety: { maxMechanicalIndex: '0.001' } },
      field: 'spec.targets[0].pressure',
      message: /at which mechanical index would reach/,
    },
    {
      title: 'two targets in one place',
      spec: {
        targets: [...focus(['0mm', '0mm', '40mm']), { name: 'twin', position: ['0mm', '0mm', '40mm'], trap: 'Twin' }],
      },
      field: 'spec.targets[1].position',
      message: /twin is where focus is/,
    },
    {
      title: 'stiffness by a solver that does not climb',
      spec: { targets: focus(['0mm', '0mm', '40mm'], { trap: 'Stiffness' }) },
      field: 'spec.targets[0].trap',
      message: /only LBFGS and Adam climb/,
    },
    {
      title: 'stiffness and a pressure',
      spec: {
        targets: focus(['0mm', '0mm', '40mm'], { trap: 'Stiffness', pressure: '1kPa' }),
        solver: { algorithm: 'LBFGS' },
      },
      field: 'spec.targets[0].pressure',
      message: /stiffness and not for a pressure/,
    },
    {
      title: 'a pressure over that of a zone around it',
      spec: {
        targets: focus(['0mm', '0mm', '40mm'], { pressure: '2kPa' }),
        safety: { zones: [{ name: 'hand', center: ['0mm', '0mm', '45mm'], radius: '10mm', maxPressure: '100Pa' }] },
      },
      field: 'spec.targets[0].pressure',
      message: /zone hand/,
    },
    {
      title: 'a focus in a silence',
      spec: {
        targets: [
          ...focus(['0mm', '0mm', '40mm']),
          { name: 'quiet', position: ['0mm', '1mm', '40mm'], trap: 'Silence', radius: '5mm' },
        ],
      },
      field: 'spec.targets[0].position',
      message: /lies in the silence quiet/,
    },
    {
      title: 'a GPU for another quantity than it sums',
      spec: { backend: 'GPU', gpu: { policy: 'Required' }, quantities: ['Force'] },
      field: 'spec.backend',
      message: /and not quantity Force/,
    },
    {
      title: 'a GPU for a method that processors compute',
      spec: { backend: 'GPU', gpu: { policy: 'Required' }, method: 'TimeDomain' },
      field: 'spec.backend',
      message: /and not method TimeDomain/,
    },
    {
      title: 'a single phase level',
      spec: { solver: { phaseLevels: 1 } },
      field: 'spec.solver.phaseLevels',
      message: /nothing to steer/,
    },
  ])('$title', ({ spec, field, message }) => {
    expect(() => check(smallProblem(spec))).toThrow(
      expect.objectContaining({ field, message: expect.stringMatching(message) }),
    );
  });

  it.each([
    {
      title: 'an enormous volume',
      spec: { volume: { center: ['0mm', '0mm', '0mm'], size: ['99m', '99m', '99m'], spacing: '1um' } },
      reason: 'VolumeTooLarge',
    },
    {
      title: 'a service, which is not computed but asked',
      spec: { mode: 'Service' },
      reason: 'InvalidResource',
    },
    {
      title: 'more elements than are supported',
      spec: { array: { type: 'Custom', custom: { format: 'JSON', configMap: { name: 'none', key: 'none' } } } },
      reason: 'InvalidResource',
    },
    {
      title: 'a reflection louder than what arrives',
      spec: { medium: { reflectors: [{ name: 'floor', plane: 'XY', at: '-5mm', coefficient: '1.5' }] } },
      reason: 'InvalidMedium',
    },
    { title: 'frozen water', spec: { medium: { type: 'Water', temperature: '-4C' } }, reason: 'InvalidMedium' },
    {
      title: 'a bowl deeper than half a ball',
      spec: { array: { grid: {}, transducer: { directivity: 'Focused', focused: { focalLength: '4mm' } } } },
      reason: 'InvalidArray',
    },
    {
      title: 'bowls of more point sources than are summed',
      spec: {
        array: {
          grid: { rows: 256, columns: 256 },
          transducer: { radius: '20mm', directivity: 'Focused', focused: { focalLength: '60mm' } },
        },
      },
      reason: 'InvalidArray',
    },
    {
      title: 'a dead element that is none',
      spec: { array: { grid: { rows: 2, columns: 2 }, hardware: { deadElements: [4] } } },
      reason: 'InvalidArray',
    },
  ])('$title', ({ spec, reason }) => {
    expect(() => smallProblem(spec)).toThrow(expect.objectContaining({ reason }));
  });
});

describe('what is allowed and unwise is warned of', () => {
  it.each([
    {
      title: 'points too far apart',
      spec: { volume: { center: ['0mm', '0mm', '40mm'], size: ['20mm', '20mm', '20mm'], spacing: '5mm' } },
      warning: /over half a wavelength \(4.33mm\).*missed by up to/,
    },
    {
      title: 'a tolerance that no sum keeps',
      spec: { tolerance: '1e-30', method: 'DirectSum' },
      warning: /^spec.tolerance 1e-30 is less than the 0.000001 of the largest pressure that sums in 32 bits keep/,
    },
    {
      title: 'a target outside the volume',
      spec: { targets: focus(['0mm', '0mm', '90mm']) },
      warning: /outside the volume/,
    },
    {
      title: 'a target behind the array',
      spec: { targets: focus(['0mm', '0mm', '-40mm']) },
      warning: /^target focus lies behind the array or in its plane, where real elements give far less/,
    },
    {
      title: 'a target beside the elements, in their plane',
      spec: { targets: focus(['30mm', '0mm', '0mm']) },
      warning: /^target focus lies behind the array or in its plane/,
    },
    {
      title: 'a volume through the plane of the elements',
      spec: { volume: { center: ['0mm', '0mm', '30mm'], size: ['20mm', '20mm', '80mm'], spacing: '1mm' } },
      warning: /^the volume reaches the plane of the array or behind it/,
    },
    {
      title: 'a volume behind the array',
      spec: { volume: { center: ['0mm', '0mm', '-40mm'], size: ['20mm', '20mm', '20mm'], spacing: '1mm' } },
      warning: /^the volume lies behind the array/,
    },
    {
      title: 'a volume through one of two sides',
      spec: {
        array: { type: 'TwoSided', twoSided: { rows: 2, columns: 2, separation: '80mm' } },
        volume: { center: ['0mm', '0mm', '60mm'], size: ['20mm', '20mm', '60mm'], spacing: '1mm' },
      },
      warning: /^the volume reaches the plane of 4 of 8 elements/,
    },
  ])('$title', ({ spec, warning }) => {
    expect(check(smallProblem(spec))).toContainEqual(expect.stringMatching(warning));
  });

  it('and nothing else', () => {
    expect(check(smallProblem())).toEqual([]);
    const hemisphere = { type: 'Hemisphere', hemisphere: { radius: '100mm', elements: 60, aperture: '180deg' } };
    const focused = { array: hemisphere, targets: focus(['0mm', '0mm', '100mm']) };
    const around = { center: ['0mm', '0mm', '100mm'], size: ['40mm', '40mm', '40mm'], spacing: '1mm' };
    expect(check(smallProblem({ ...focused, volume: around }))).toEqual([]);
  });
});
