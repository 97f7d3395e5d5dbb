// LightGBM's C API, found where `fetch-lightgbm` or an image put the library.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type * as Koffi from 'koffi';
import { EvolutionError, messageOf } from '../../errors.ts';

export const lightgbmVersion = '4.7.0';

type Handle = bigint;
type Numbers = Float32Array | Float64Array | Int32Array;

/** The functions used, with out-parameters as one-element arrays. All throw EvolutionError TrainingFailed. */
export interface LightGbm {
  datasetFromMatrix: (data: Float32Array, rows: number, columns: number, parameters: string) => Handle;
  datasetSetField: (dataset: Handle, name: 'label' | 'weight', values: Float32Array) => void;
  datasetFree: (dataset: Handle) => void;
  boosterCreate: (dataset: Handle, parameters: string) => Handle;
  /** True when no further tree can be grown. */
  boosterUpdate: (booster: Handle) => boolean;
  boosterFromText: (model: string) => Handle;
  boosterToText: (booster: Handle) => string;
  boosterPredict: (
    booster: Handle,
    data: Float32Array,
    rows: number,
    columns: number,
    result: Float64Array,
    parameters: string,
  ) => void;
  boosterFree: (booster: Handle) => void;
}

let loaded: LightGbm | undefined;

/** @throws EvolutionError LibraryMissing, saying where it was looked for and how to get it */
export function lightgbm(): LightGbm {
  loaded ??= load();
  return loaded;
}

export function lightgbmAvailable(): boolean {
  return libraryPaths().some((path) => existsSync(path));
}

/** Folder that `fetch-lightgbm` fills. */
export function lightgbmFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'quintet', 'lightgbm', lightgbmVersion, process.arch);
}

function libraryPaths(): string[] {
  const told = process.env['QUINTET_LIGHTGBM'];
  return [...(told ? [told] : []), join(lightgbmFolder(), 'lib_lightgbm.so')];
}

function load(): LightGbm {
  const path = libraryPaths().find((each) => existsSync(each));
  if (path === undefined) {
    throw new EvolutionError('LibraryMissing', `LightGBM is not there (looked at ${libraryPaths().join(', ')})`, {
      fix: 'run `npm run fetch:lightgbm -w @quintet/evolution`, or set QUINTET_LIGHTGBM to lib_lightgbm.so',
    });
  }
  try {
    return bind(path);
  } catch (cause) {
    throw new EvolutionError(
      'LibraryMissing',
      `${path} cannot be loaded: ${messageOf(cause)}`,
      { fix: 'install libgomp1' },
      cause,
    );
  }
}

/** data types of the C API */
const float32 = 0;
const normalPrediction = 0;

function bind(path: string): LightGbm {
  // koffi is CommonJS with a native part; only a process that trains or predicts with trees loads it.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load(path);
  const lastError = library.func('const char *LGBM_GetLastError()') as () => string;
  const declare = (signature: string) => {
    const call = library.func(`int ${signature}`) as (...values: unknown[]) => number;
    return (...values: unknown[]) => {
      if (call(...values) !== 0) throw new EvolutionError('TrainingFailed', `LightGBM: ${lastError()}`);
    };
  };
  const fromMat = declare(
    'LGBM_DatasetCreateFromMat(const float *data, int type, int32_t rows, int32_t columns, int rowMajor, const char *parameters, void *reference, _Out_ uint64_t *result)',
  );
  const setField = declare(
    'LGBM_DatasetSetField(uint64_t dataset, const char *name, const float *values, int count, int type)',
  );
  const datasetFree = declare('LGBM_DatasetFree(uint64_t dataset)');
  const create = declare('LGBM_BoosterCreate(uint64_t dataset, const char *parameters, _Out_ uint64_t *result)');
  const update = declare('LGBM_BoosterUpdateOneIter(uint64_t booster, _Out_ int *finished)');
  const fromText = declare(
    'LGBM_BoosterLoadModelFromString(const char *model, _Out_ int *iterations, _Out_ uint64_t *result)',
  );
  const toText = declare(
    'LGBM_BoosterSaveModelToString(uint64_t booster, int start, int count, int importance, int64_t space, _Out_ int64_t *length, _Out_ uint8_t *text)',
  );
  const predict = declare(
    'LGBM_BoosterPredictForMat(uint64_t booster, const float *data, int type, int32_t rows, int32_t columns, int rowMajor, int kind, int start, int count, const char *parameters, _Out_ int64_t *length, _Out_ double *result)',
  );
  const boosterFree = declare('LGBM_BoosterFree(uint64_t booster)');
  const handleOf = (call: (result: bigint[] | BigUint64Array) => void): Handle => {
    const result = new BigUint64Array(1);
    call(result);
    return result[0]!;
  };
  return {
    datasetFromMatrix: (data, rows, columns, parameters) =>
      handleOf((result) => fromMat(data, float32, rows, columns, 1, parameters, null, result)),
    datasetSetField: (dataset, name, values: Numbers) => setField(dataset, name, values, values.length, float32),
    datasetFree: (dataset) => datasetFree(dataset),
    boosterCreate: (dataset, parameters) => handleOf((result) => create(dataset, parameters, result)),
    boosterUpdate: (booster) => {
      const finished = new Int32Array(1);
      update(booster, finished);
      return finished[0] === 1;
    },
    boosterFromText: (model) => handleOf((result) => fromText(model, new Int32Array(1), result)),
    boosterToText: (booster) => {
      const length = new BigInt64Array(1);
      toText(booster, 0, -1, 0, 0n, length, new Uint8Array(1));
      const text = new Uint8Array(Number(length[0]));
      toText(booster, 0, -1, 0, length[0], length, text);
      return new TextDecoder().decode(text.subarray(0, text.length - 1));
    },
    boosterPredict: (booster, data, rows, columns, result, parameters) =>
      predict(
        booster,
        data,
        float32,
        rows,
        columns,
        1,
        normalPrediction,
        0,
        -1,
        parameters,
        new BigInt64Array(1),
        result,
      ),
    boosterFree: (booster) => boosterFree(booster),
  };
}
