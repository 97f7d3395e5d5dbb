// What an answer costs: tokens and money taken from budgets before it is made, settled after, and written to the ledger.
import { randomUUID } from 'node:crypto';
import { type EngineContext, isQuintetError, QuintetError, type TenantLimits, tenantQuotas } from '@quintet/runtime';
import type { Usage } from '../models/model.ts';
import type { CopyConfig } from './config.ts';
import type { Ledger, LedgerLine } from './ledger.ts';

export interface Entry {
  tenant: string;
  tag: string;
  model: string;
  promptTokens: number;
  /** Most that the answer may have. */
  maxTokens: number;
}

export interface Accounts {
  /**
   * Throws `QUOTA_EXCEEDED` and takes nothing when a budget does not hold it.
   * @param used Kept up to date while the work goes on: what has been told of it stays spent when this replica dies.
   */
  open: (entry: Entry, used: Usage) => Promise<Account>;
  /** An answer that was there already: it costs nothing, and the ledger tells of it. */
  cached: (entry: Omit<Entry, 'promptTokens' | 'maxTokens'>, used: Usage) => void;
  /** Resolves when no account is open. */
  idle: () => Promise<void>;
}

export interface Account {
  /** The work begins: from now on the ledger knows of it. Those that are turned away while they wait leave no line. */
  begin: () => Promise<void>;
  settle: (used: Usage, state: 'Done' | 'Aborted') => Promise<void>;
}

/** Budgets count millionths of the currency: a token in at a price of 1 a million is one. */
const micro = 1_000_000;

export interface AccountOptions {
  /** Milliseconds after which what a dead replica had reserved, and not used, comes back. */
  lease: number;
  /** The model whose adapters, `model:adapter`, cost what it does where the list does not name them; undefined where it can have none. */
  adaptable: string | undefined;
}

export function accounts(
  context: EngineContext<CopyConfig>,
  ledger: Ledger | undefined,
  { lease, adaptable }: AccountOptions,
): Accounts {
  const { redis } = context;
  const { prices = [], keys = [], currency = 'USD' } = context.config.budgets ?? {};
  // A budget that cannot be looked at is not spent.
  const shared = redis ? { redis, strict: true, lease } : {};
  const limited = (name: string, of: (key: (typeof keys)[number]) => TenantLimits) =>
    tenantQuotas({ name, limits: Object.fromEntries(keys.map((key) => [key.name, of(key)])), ...shared });
  const ofTenants = () =>
    Object.fromEntries(context.settings.tenants.map(({ name, tokensPerDay }) => [name, { unitsPerDay: tokensPerDay }]));
  const tenants = tenantQuotas({ name: 'copy', limits: ofTenants(), registry: context.registry, ...shared });
  const tokens = limited('copy-keys', ({ tokensPerDay }) => ({ unitsPerDay: tokensPerDay }));
  const inMicros = (cost: number | undefined) => (cost === undefined ? undefined : Math.floor(cost * micro));
  const money = limited('copy-money', ({ costPerDay, costPerMonth }) => ({
    unitsPerDay: inMicros(costPerDay),
    unitsPerMonth: inMicros(costPerMonth),
  }));
  /** Millionths of the currency. */
  const costOf = (model: string, prompt: number, completion: number): number => {
    const listed = (wanted: string | undefined) => prices.find(({ name }) => name === wanted);
    const isAdapter = adaptable !== undefined && model.startsWith(`${adaptable}:`);
    const price = listed(model) ?? (isAdapter ? listed(adaptable) : undefined);
    return price ? Math.ceil(prompt * price.inputPerMillion + completion * price.outputPerMillion) : 0;
  };
  const open = new Set<Promise<void>>();
  return {
    idle: async () => {
      await Promise.all(open);
    },
    open: async ({ tenant, tag, model, promptTokens, maxTokens }, used) => {
      const reservedTokens = promptTokens + maxTokens;
      const spentTokens = () => used.promptTokens + used.completionTokens;
      const spentMoney = () => costOf(model, used.promptTokens, used.completionTokens);
      tenants.update(ofTenants());
      const reserved = [await tenants.reserve(tenant, reservedTokens, spentTokens)];
      try {
        reserved.push(await named('tokens', () => tokens.reserve(tenant, reservedTokens, spentTokens)));
        const most = costOf(model, promptTokens, maxTokens);
        reserved.push(await named(`millionths of ${currency}`, () => money.reserve(tenant, most, spentMoney)));
      } catch (error) {
        await Promise.all(reserved.map((each) => each.settle(0)));
        throw error;
      }
      const line: LedgerLine = {
        id: randomUUID(),
        at: new Date(),
        tenant,
        tag,
        model,
        state: 'Open',
        promptTokens: 0,
        completionTokens: 0,
        reservedTokens,
        cost: 0,
        currency,
      };
      const inLine = ({ promptTokens: prompt, completionTokens: completion }: Usage) => ({
        promptTokens: prompt,
        completionTokens: completion,
        cost: costOf(model, prompt, completion) / micro,
      });
      let begun = false;
      const { promise, resolve: close } = Promise.withResolvers<void>();
      open.add(promise);
      return {
        begin: async () => {
          begun = true;
          await ledger?.write(line);
          ledger?.renew(line.id, () => inLine(used));
        },
        settle: async (final, state) => {
          try {
            const total = final.promptTokens + final.completionTokens;
            const [ofTenant, ofKey, ofMoney] = reserved;
            await Promise.all([
              ofTenant?.settle(total),
              ofKey?.settle(total),
              ofMoney?.settle(costOf(model, final.promptTokens, final.completionTokens)),
            ]);
            if (begun) await ledger?.write({ ...line, state, ...inLine(final) });
          } finally {
            open.delete(promise);
            close();
          }
        },
      };
    },
    cached: ({ tenant, tag, model }, { promptTokens, completionTokens }) => {
      const line = { id: randomUUID(), at: new Date(), tenant, tag, model, promptTokens, completionTokens };
      // Not waited for: a hit is to be fast, and nothing is lost but the line where the replica dies now.
      void ledger?.write({ ...line, state: 'Cached', reservedTokens: 0, cost: 0, currency });
    },
  };
}

/** What `reserve` throws names these units. */
async function named<T>(units: string, reserve: () => Promise<T>): Promise<T> {
  try {
    return await reserve();
  } catch (error) {
    if (!isQuintetError(error) || error.code !== 'QUOTA_EXCEEDED') throw error;
    const quota = String(error.details['quota']).replace(/^units/, units);
    throw new QuintetError('QUOTA_EXCEEDED', { ...error.details, quota });
  }
}
