// What a resource will need when a pod asked for now could serve: naive, damped trend, or the same time one season
// ago. Each is held to what came true, and one is acted on only while it beats the naive forecast.

import { type Learnt, learntFrom, written } from './forecast-history.ts';

export interface ForecastOptions {
  /** Time of one bin of the history, in seconds. Default 15. */
  binSeconds?: number;
  /** Length of a season in seconds. Default a day. */
  seasonSeconds?: number;
  /** How far ahead, in seconds: changed by `aim`. */
  leadSeconds: number;
  /** What another has learnt, as `learnt` tells it; what is none of that, or older than a season, is left alone. */
  learnt?: string | undefined;
}

export interface Forecast {
  /** In pods, not rounded. */
  value: number;
  /** Root of the mean squared error as a share of the mean demand, of the forecast that was chosen. */
  error: number;
  /** Whether it beats the naive forecast clearly enough to be acted on. */
  isBetter: boolean;
}

type Name = 'Naive' | 'Trend' | 'Seasonal';
const names: readonly Name[] = ['Naive', 'Trend', 'Seasonal'];
/** Forecasts judged before one is trusted. */
const leastJudged = 12;
/** Of each mistake so much is left a bin later: half after some six hours, so that calm does not make peaks forgotten. */
const forgetting = 0.9995;
/** Bins beyond the lead that a season is looked at: growing takes a few steps. */
const reach = 2;
/** A forecast must have at most this share of the naive one's error. */
const margin = 0.85;

export class Forecaster {
  readonly #binMs: number;
  readonly #season: number;
  #ahead: number;
  /** Demand by bin, oldest first; at most two seasons. */
  readonly #bins: number[] = [];
  readonly #open: { bin: number; sum: number; count: number } = { bin: -1, sum: 0, count: 0 };
  /** Forecasts not yet judged: the bin they speak of. */
  #pending: { bin: number; values: Record<Name, number> }[] = [];
  readonly #errors: Record<Name, number> = { Naive: 0, Trend: 0, Seasonal: 0 };
  #weight = 0;
  #demand = 0;
  #judged = 0;
  #known: Learnt | undefined;

  constructor(options: ForecastOptions) {
    const binSeconds = options.binSeconds ?? 15;
    this.#binMs = binSeconds * 1000;
    this.#season = Math.round((options.seasonSeconds ?? 86_400) / binSeconds);
    this.#ahead = this.#binsOf(options.leadSeconds);
    this.#known = learntFrom(options.learnt);
  }

  /** For whoever comes after. Undefined: nothing yet. */
  get learnt(): string | undefined {
    const { bin } = this.#open;
    if (this.#bins.length === 0 || bin < 1) return undefined;
    return written({
      binMs: this.#binMs,
      last: bin - 1,
      bins: this.#bins,
      errors: this.#errors,
      weight: this.#weight,
      mean: this.#demand,
      judged: this.#judged,
    });
  }

  /** Looks so many seconds ahead from now on; what was foretold for another distance is not judged. */
  aim(leadSeconds: number): void {
    const ahead = this.#binsOf(leadSeconds);
    if (ahead === this.#ahead) return;
    this.#ahead = ahead;
    this.#pending = [];
  }

  #binsOf(seconds: number): number {
    return Math.max(1, Math.ceil((seconds * 1000) / this.#binMs));
  }

  /** @param demand Pods that the load of this moment would need, not rounded. */
  observe(now: number, demand: number): void {
    if (!Number.isFinite(demand) || demand < 0) return;
    const bin = Math.floor(now / this.#binMs);
    const open = this.#open;
    if (this.#known) this.#goOn(this.#known, bin);
    if (open.bin !== bin) {
      if (open.bin >= 0) this.#close(bin - open.bin);
      Object.assign(open, { bin, sum: 0, count: 0 });
    }
    open.sum += demand;
    open.count += 1;
  }

  /** Undefined until enough forecasts were judged. */
  forecast(): Forecast | undefined {
    if (this.#judged < leastJudged || this.#demand <= 0) return undefined;
    const relative = (name: Name) => Math.sqrt(this.#errors[name] / this.#weight) / (this.#demand / this.#weight);
    const best = names.reduce((a, b) => (relative(b) < relative(a) ? b : a));
    const ahead = Array.from({ length: best === 'Seasonal' ? reach + 1 : 1 }, (_, i) => this.#predict(i)[best]);
    const value = Math.max(...ahead);
    return { value, error: relative(best), isBetter: best !== 'Naive' && relative(best) < margin * relative('Naive') };
  }

  get size(): number {
    return this.#bins.length;
  }

  /** From the last bin of what is known on, as after an outage. */
  #goOn({ binMs, last, bins, errors, weight, mean, judged }: Learnt, now: number): void {
    this.#known = undefined;
    const latest = bins.at(-1);
    if (binMs !== this.#binMs || last >= now || now - last > this.#season || latest === undefined) return;
    this.#bins.push(...bins.slice(0, -1).slice(-2 * this.#season));
    Object.assign(this.#errors, errors);
    [this.#weight, this.#demand, this.#judged] = [weight, mean, judged];
    Object.assign(this.#open, { bin: last, sum: latest, count: 1 });
  }

  #close(bins: number): void {
    const mean = this.#open.sum / Math.max(1, this.#open.count);
    // A gap (an outage) is bridged by what was known last, within reason.
    for (let i = 0; i < Math.min(bins, this.#season); i++) {
      this.#bins.push(mean);
      const bin = this.#open.bin + i;
      if (i === 0) this.#judge(bin, mean);
      this.#pending.push({ bin: bin + this.#ahead, values: this.#predict() });
    }
    if (this.#bins.length > 2 * this.#season) this.#bins.splice(0, this.#bins.length - 2 * this.#season);
    if (this.#pending.length > this.#ahead + 1) this.#pending = this.#pending.slice(-this.#ahead - 1);
  }

  #judge(bin: number, came: number): void {
    const due = this.#pending.find((each) => each.bin === bin);
    if (!due) return;
    for (const name of names) this.#errors[name] = forgetting * this.#errors[name] + (due.values[name] - came) ** 2;
    this.#demand = forgetting * this.#demand + came;
    this.#weight = forgetting * this.#weight + 1;
    this.#judged += 1;
  }

  #predict(beyond = 0): Record<Name, number> {
    const bins = this.#bins;
    const last = bins.at(-1) ?? 0;
    const then = bins[bins.length - 1 - this.#season];
    const next = bins[bins.length - 1 - this.#season + this.#ahead + beyond];
    const shift = then !== undefined && then > 0 ? Math.min(2, Math.max(0.5, last / then)) : 1;
    return {
      Naive: last,
      Trend: Math.max(0, trendOf(bins.slice(-8), this.#ahead)),
      Seasonal: then === undefined || next === undefined ? last : next * shift,
    };
  }
}

/** Least squares over the latest bins, carried on. */
function trendOf(bins: readonly number[], ahead: number): number {
  const n = bins.length;
  if (n < 3) return bins.at(-1) ?? 0;
  const meanX = (n - 1) / 2;
  const meanY = bins.reduce((sum, y) => sum + y, 0) / n;
  let covariance = 0;
  let variance = 0;
  bins.forEach((y, x) => {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  });
  return meanY + (covariance / variance) * (n - 1 - meanX + ahead);
}
