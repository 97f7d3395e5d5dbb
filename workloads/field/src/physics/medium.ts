// What sound travels in: speed, density and absorption of air and water from their temperature.

export interface Medium {
  /** m/s */
  readonly soundSpeed: number;
  /** kg/m³ */
  readonly density: number;
  /** Amplitude attenuation at the frequency of the drive, nepers per metre. */
  readonly attenuation: number;
}

const standardPressure = 101_325;
const nepersPerDecibel = Math.LN10 / 20;

/** @param temperature kelvin. @param humidity relative, 0 to 1. @param frequency Hz, or 0 for no absorption. */
export function air(temperature: number, humidity: number, frequency: number): Medium {
  return {
    // Ideal gas of molar mass 28.9647 g/mol, heat capacity ratio 1.4.
    soundSpeed: Math.sqrt((1.4 * 8.314462618 * temperature) / 0.0289647),
    density: (standardPressure * 0.0289647) / (8.314462618 * temperature),
    attenuation: airAttenuation(temperature, humidity, frequency) * nepersPerDecibel,
  };
}

/** Fresh water. @param temperature kelvin, of the liquid. */
export function water(temperature: number, frequency: number): Medium {
  const t = temperature - 273.15;
  return {
    // Marczak, J. Acoust. Soc. Am. 102 (1997) 2776: 0 to 95 °C.
    soundSpeed: polynomial([1402.385, 5.038813, -5.799136e-2, 3.287156e-4, -1.398845e-6, 2.78786e-9], t),
    // Kell, J. Chem. Eng. Data 20 (1975) 97.
    density:
      polynomial([999.83952, 16.945176, -7.9870401e-3, -46.170461e-6, 105.56302e-9, -280.54253e-12], t) /
      (1 + 16.87985e-3 * t),
    // Pinkerton, Proc. Phys. Soc. B 62 (1949) 129, fitted: nepers per metre over frequency squared.
    attenuation: polynomial([55.9, -2.37, 4.77e-2, -3.48e-4], t) * 1e-15 * frequency ** 2,
  };
}

export function customMedium(soundSpeed: number, density: number, decibelsPerMetre: number): Medium {
  return { soundSpeed, density, attenuation: decibelsPerMetre * nepersPerDecibel };
}

/** Decibels per metre by ISO 9613-1:1993, equations 3 to 5, at one standard atmosphere. */
export function airAttenuation(temperature: number, humidity: number, frequency: number): number {
  const relative = temperature / 293.15;
  // Molar concentration of water vapour in percent, annex B.
  const vapour = humidity * 100 * 10 ** (-6.8346 * (273.16 / temperature) ** 1.261 + 4.6151);
  const oxygen = 24 + (4.04e4 * vapour * (0.02 + vapour)) / (0.391 + vapour);
  const nitrogen = relative ** -0.5 * (9 + 280 * vapour * Math.exp(-4.17 * (relative ** (-1 / 3) - 1)));
  const squared = frequency ** 2;
  return (
    8.686 *
    squared *
    (1.84e-11 * Math.sqrt(relative) +
      relative ** -2.5 *
        ((0.01275 * Math.exp(-2239.1 / temperature)) / (oxygen + squared / oxygen) +
          (0.1068 * Math.exp(-3352 / temperature)) / (nitrogen + squared / nitrogen)))
  );
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, c) => sum * x + c, 0);
}
