// Dense complex matrices as they occur here: few rows (control points), many columns (elements).

/** Row-major. */
export interface ComplexMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
}

export interface ComplexVector {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

export function complexMatrix(rows: number, columns: number): ComplexMatrix {
  return { rows, columns, re: new Float64Array(rows * columns), im: new Float64Array(rows * columns) };
}

export function complexVector(length: number): ComplexVector {
  return { re: new Float64Array(length), im: new Float64Array(length) };
}

/** out = A·x */
export function multiply({ rows, columns, re, im }: ComplexMatrix, x: ComplexVector, out: ComplexVector): void {
  for (let j = 0; j < rows; j++) {
    let sumRe = 0;
    let sumIm = 0;
    const from = j * columns;
    for (let t = 0; t < columns; t++) {
      const aRe = re[from + t]!;
      const aIm = im[from + t]!;
      sumRe += aRe * x.re[t]! - aIm * x.im[t]!;
      sumIm += aRe * x.im[t]! + aIm * x.re[t]!;
    }
    out.re[j] = sumRe;
    out.im[j] = sumIm;
  }
}

/** out = Aᴴ·y */
export function multiplyAdjoint({ rows, columns, re, im }: ComplexMatrix, y: ComplexVector, out: ComplexVector): void {
  out.re.fill(0);
  out.im.fill(0);
  for (let j = 0; j < rows; j++) {
    const yRe = y.re[j]!;
    const yIm = y.im[j]!;
    const from = j * columns;
    for (let t = 0; t < columns; t++) {
      const aRe = re[from + t]!;
      const aIm = im[from + t]!;
      out.re[t]! += aRe * yRe + aIm * yIm;
      out.im[t]! += aRe * yIm - aIm * yRe;
    }
  }
}

/** A·Aᴴ, Hermitian, rows × rows. */
export function gram(a: ComplexMatrix): ComplexMatrix {
  const out = complexMatrix(a.rows, a.rows);
  for (let j = 0; j < a.rows; j++) {
    for (let k = 0; k <= j; k++) {
      let re = 0;
      let im = 0;
      for (let t = 0; t < a.columns; t++) {
        const jRe = a.re[j * a.columns + t]!;
        const jIm = a.im[j * a.columns + t]!;
        const kRe = a.re[k * a.columns + t]!;
        const kIm = a.im[k * a.columns + t]!;
        re += jRe * kRe + jIm * kIm;
        im += jIm * kRe - jRe * kIm;
      }
      out.re[j * a.rows + k] = re;
      out.im[j * a.rows + k] = im;
      out.re[k * a.rows + j] = re;
      out.im[k * a.rows + j] = -im;
    }
  }
  return out;
}

/** Solves (H + shift·I)·x = b for Hermitian positive semidefinite H and a positive shift, by LDLᴴ. */
export function shiftedSolver(h: ComplexMatrix, shift: number): (b: ComplexVector) => ComplexVector {
  const n = h.rows;
  const l = complexMatrix(n, n);
  const d = new Float64Array(n);
  for (let j = 0; j < n; j++) {
    let pivot = h.re[j * n + j]! + shift;
    for (let k = 0; k < j; k++) pivot -= d[k]! * (l.re[j * n + k]! ** 2 + l.im[j * n + k]! ** 2);
    d[j] = pivot;
    for (let i = j + 1; i < n; i++) {
      let re = h.re[i * n + j]!;
      let im = h.im[i * n + j]!;
      for (let k = 0; k < j; k++) {
        const ikRe = l.re[i * n + k]! * d[k]!;
        const ikIm = l.im[i * n + k]! * d[k]!;
        re -= ikRe * l.re[j * n + k]! + ikIm * l.im[j * n + k]!;
        im -= ikIm * l.re[j * n + k]! - ikRe * l.im[j * n + k]!;
      }
      l.re[i * n + j] = re / pivot;
      l.im[i * n + j] = im / pivot;
    }
  }
  return (b) => {
    const x = { re: Float64Array.from(b.re), im: Float64Array.from(b.im) };
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) {
        x.re[i]! -= l.re[i * n + k]! * x.re[k]! - l.im[i * n + k]! * x.im[k]!;
        x.im[i]! -= l.re[i * n + k]! * x.im[k]! + l.im[i * n + k]! * x.re[k]!;
      }
    }
    for (let i = n - 1; i >= 0; i--) {
      x.re[i]! /= d[i]!;
      x.im[i]! /= d[i]!;
      for (let k = i + 1; k < n; k++) {
        x.re[i]! -= l.re[k * n + i]! * x.re[k]! + l.im[k * n + i]! * x.im[k]!;
        x.im[i]! -= l.re[k * n + i]! * x.im[k]! - l.im[k * n + i]! * x.re[k]!;
      }
    }
    return x;
  };
}
