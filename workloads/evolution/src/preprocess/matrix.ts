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
