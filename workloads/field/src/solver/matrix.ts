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
  const { re: xRe, im: xIm } = x;
  const { re: outRe, im: outIm } = out;
  for (let j = 0; j < rows; j++) {
    // Four sums: each product waits for none but its own.
    let reRe = 0;
    let imIm = 0;
    let reIm = 0;
    let imRe = 0;
    const from = j * columns;
    for (let t = 0; t < columns; t++) {
      const aRe = re[from + t]!;
      const aIm = im[from + t]!;
      const bRe = xRe[t]!;
      const bIm = xIm[t]!;
      reRe += aRe * bRe;
      imIm += aIm * bIm;
      reIm += aRe * bIm;
      imRe += aIm * bRe;
    }
    outRe[j] = reRe - imIm;
    outIm[j] = reIm + imRe;
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
  const { rows, columns, re: aRe, im: aIm } = a;
  const out = complexMatrix(rows, rows);
  for (let j = 0; j < rows; j++) {
    for (let k = 0; k <= j; k++) {
      let reRe = 0;
      let imIm = 0;
      let imRe = 0;
      let reIm = 0;
      const atJ = j * columns;
      const atK = k * columns;
      for (let t = 0; t < columns; t++) {
        const jRe = aRe[atJ + t]!;
        const jIm = aIm[atJ + t]!;
        const kRe = aRe[atK + t]!;
        const kIm = aIm[atK + t]!;
        reRe += jRe * kRe;
        imIm += jIm * kIm;
        imRe += jIm * kRe;
        reIm += jRe * kIm;
      }
      const re = reRe + imIm;
      const im = imRe - reIm;
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
