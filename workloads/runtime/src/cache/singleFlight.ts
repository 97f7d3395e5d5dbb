// The same work is done once for all who ask for it at the same time; it is called off only when all of them went away.
import { QuintetError } from '../errors.ts';

export interface SingleFlight<T> {
  /** `signal` is the caller's: aborting it rejects this call with `CANCELLED` at once. */
  run: (key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal) => Promise<T>;
  readonly size: number;
}

interface Flight<T> {
  result: Promise<T>;
  passengers: number;
  cancel: AbortController;
}

export function singleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>();

  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const cancel = new AbortController();
    const result = Promise.resolve().then(() => work(cancel.signal));
    const flight = { result, passengers: 0, cancel };
    flights.set(key, flight);
    const land = () => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    result.then(land, land);
    return flight;
  };

  const run: SingleFlight<T>['run'] = async (key, work, signal) => {
    if (signal?.aborted) throw new QuintetError('CANCELLED');
    const flight = flights.get(key) ?? begin(key, work);
    flight.passengers += 1;
    if (!signal) return flight.result;
    let leave = () => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => {
        flight.passengers -= 1;
        if (flight.passengers === 0) {
          // Who comes now starts anew instead of joining work that is being called off.
          if (flights.get(key) === flight) flights.delete(key);
          flight.cancel.abort(new QuintetError('CANCELLED'));
        }
        reject(new QuintetError('CANCELLED'));
      };
      signal.addEventListener('abort', leave, { once: true });
    });
    try {
      return await Promise.race([flight.result, left]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  };
  return {
    run,
    get size() {
      return flights.size;
    },
  };
}
