// Figures as people and `status` read them: three digits and the unit that fits.

export function formatPressure(pascals: number): string {
  return scaled(pascals, 'Pa', [
    [1e6, 'MPa'],
    [1e3, 'kPa'],
    [1, 'Pa'],
    [1e-3, 'mPa'],
  ]);
}

export function formatIntensity(wattsPerSquareMetre: number): string {
  return scaled(wattsPerSquareMetre, 'W/m2', [
    [1e3, 'kW/m2'],
    [1, 'W/m2'],
  ]);
}

export function formatStiffness(newtonsPerMetre: number): string {
  return scaled(newtonsPerMetre, 'N/m', [
    [1, 'N/m'],
    [1e-3, 'mN/m'],
    [1e-6, 'uN/m'],
  ]);
}

export function formatLength(metres: number): string {
  return scaled(metres, 'm', [
    [1, 'm'],
    [1e-3, 'mm'],
    [1e-6, 'um'],
  ]);
}

export function formatTime(seconds: number): string {
  return scaled(seconds, 's', [
    [86_400, ' days'],
    [3600, ' h'],
    [60, ' min'],
    [1, ' s'],
  ]);
}

export function formatBytes(bytes: number): string {
  return scaled(bytes, 'B', [
    [2 ** 40, ' TiB'],
    [2 ** 30, ' GiB'],
    [2 ** 20, ' MiB'],
    [2 ** 10, ' KiB'],
    [1, ' B'],
  ]);
}

export function formatPercent(part: number): string {
  return `${Number((part * 100).toPrecision(3))}%`;
}

/** Three significant digits without an exponent or trailing zeros. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function scaled(value: number, base: string, units: readonly (readonly [number, string])[]): string {
  const fitting = units.find(([factor]) => Math.abs(value) >= factor * 0.9995) ?? units.at(-1);
  if (!fitting || value === 0) return `0${base}`;
  return `${Number((value / fitting[0]).toPrecision(3))}${fitting[1]}`;
}
