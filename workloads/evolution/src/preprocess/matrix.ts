// A dense table of numbers, row after row, in single precision as every runtime of the exported model has it.

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Targets beside a matrix. */
export interface Targets {
  readonly y: Float64Array;
  readonly weights: Float64Array | undefined;
}

/** What the rows of a matrix look like as a table of doubles, for learners that need more digits while they fit. */
export function columnOf(matrix: Matrix, column: number): Float64Array {
  const values = new Float64Array(matrix.rows);
  for (let i = 0, at = column; i < matrix.rows; i++, at += matrix.columns) values[i] = matrix.data[at]!;
  return values;
}
