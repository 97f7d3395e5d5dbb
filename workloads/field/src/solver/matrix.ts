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
  let j = 0;
  // Two rows at a time: what is read of x serves both, and each product waits for none but its own.
  for (; j + 1 < rows; j += 2) {
    const first = j * columns;
    const next = first + columns;
    let [aReRe, aImIm, aReIm, aImRe, bReRe, bImIm, bReIm, bImRe] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let t = 0; t < columns; t++) {
      const vRe = xRe[t]!;
      const vIm = xIm[t]!;
      const aRe = re[first + t]!;
      const aIm = im[first + t]!;
      const bRe = re[next + t]!;
      const bIm = im[next + t]!;
      aReRe += aRe * vRe;
      aImIm += aIm * vIm;
      aReIm += aRe * vIm;
      aImRe += aIm * vRe;
      bReRe += bRe * vRe;
      bImIm += bIm * vIm;
      bReIm += bRe * vIm;
      bImRe += bIm * vRe;
    }
    outRe[j] = aReRe - aImIm;
    outIm[j] = aReIm + aImRe;
    outRe[j + 1] = bReRe - bImIm;
    outIm[j + 1] = bReIm + bImRe;
  }
  if (j === rows) return;
  let [sumRe, sumIm] = [0, 0];
  for (let t = 0, at = j * columns; t < columns; t++, at++) {
    sumRe += re[at]! * xRe[t]! - im[at]! * xIm[t]!;
    sumIm += re[at]! * xIm[t]! + im[at]! * xRe[t]!;
  }
  outRe[j] = sumRe;
  outIm[j] = sumIm;
}

/** out = Aᴴ·y */
export function multiplyAdjoint({ rows, columns, re, im }: ComplexMatrix, y: ComplexVector, out: ComplexVector): void {
  const { re: outRe, im: outIm } = out;
  outRe.fill(0);
  outIm.fill(0);
  let j = 0;
  // Four rows at a time, so that sums are read and written once for all of them.
  for (; j + 3 < rows; j += 4) {
    const [a, b, c, d] = [j * columns, (j + 1) * columns, (j + 2) * columns, (j + 3) * columns];
    const [aRe, bRe, cRe, dRe] = [y.re[j]!, y.re[j + 1]!, y.re[j + 2]!, y.re[j + 3]!];
    const [aIm, bIm, cIm, dIm] = [y.im[j]!, y.im[j + 1]!, y.im[j + 2]!, y.im[j + 3]!];
    for (let t = 0; t < columns; t++) {
      const [pRe, qRe, rRe, sRe] = [re[a + t]!, re[b + t]!, re[c + t]!, re[d + t]!];
      const [pIm, qIm, rIm, sIm] = [im[a + t]!, im[b + t]!, im[c + t]!, im[d + t]!];
      outRe[t]! += pRe * aRe + pIm * aIm + (qRe * bRe + qIm * bIm) + (rRe * cRe + rIm * cIm) + (sRe * dRe + sIm * dIm);
      outIm[t]! += pRe * aIm - pIm * aRe + (qRe * bIm - qIm * bRe) + (rRe * cIm - rIm * cRe) + (sRe * dIm - sIm * dRe);
    }
  }
  for (; j < rows; j++) {
    const yRe = y.re[j]!;
    const yIm = y.im[j]!;
    for (let t = 0, at = j * columns; t < columns; t++, at++) {
      outRe[t]! += re[at]! * yRe + im[at]! * yIm;
      outIm[t]! += re[at]! * yIm - im[at]! * yRe;
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
