// What an answer costs: tokens and money taken from budgets before it is made, settled after, and written to the ledger.
import { randomUUID } from 'node:crypto';
import { type EngineContext, isQuintetError, QuintetError, tenantQuotas } from '@quintet/runtime';
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
  /** Throws `QUOTA_EXCEEDED` and takes nothing when a budget does not hold it. */
  open: (entry: Entry) => Promise<Account>;
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

export function accounts(context: EngineContext<CopyConfig>, ledger: Ledger | undefined): Accounts {
  const { redis } = context;
  const { prices = [], keys = [], currency = 'USD' } = context.config.budgets ?? {};
  // A budget that cannot be looked at is not spent.
  const shared = redis ? { redis, strict: true } : {};
  const limited = (name: string, of: (key: (typeof keys)[number]) => number | undefined) =>
    tenantQuotas({
      name,
      limits: Object.fromEntries(keys.map((key) => [key.name, { unitsPerDay: of(key) }])),
      ...shared,
    });
  const ofTenants = () =>
    Object.fromEntries(context.settings.tenants.map(({ name, tokensPerDay }) => [name, { unitsPerDay: tokensPerDay }]));
  const tenants = tenantQuotas({ name: 'copy', limits: ofTenants(), registry: context.registry, ...shared });
  const tokens = limited('copy-keys', ({ tokensPerDay }) => tokensPerDay);
  const money = limited('copy-money', ({ costPerDay }) =>
    costPerDay === undefined ? undefined : Math.floor(costPerDay * micro),
  );
  /** Millionths of the currency. */
  const costOf = (model: string, prompt: number, completion: number): number => {
    const price = prices.find(({ name }) => name === model);
    return price ? Math.ceil(prompt * price.inputPerMillion + completion * price.outputPerMillion) : 0;
  };
  const open = new Set<Promise<void>>();
  return {
    idle: async () => {
      await Promise.all(open);
    },
    open: async ({ tenant, tag, model, promptTokens, maxTokens }) => {
      const reservedTokens = promptTokens + maxTokens;
      tenants.update(ofTenants());
      const reserved = [await tenants.reserve(tenant, reservedTokens)];
      try {
        reserved.push(await named('tokens per day', () => tokens.reserve(tenant, reservedTokens)));
        const most = costOf(model, promptTokens, maxTokens);
        reserved.push(await named(`millionths of ${currency} per day`, () => money.reserve(tenant, most)));
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
      let begun = false;
      const { promise, resolve: close } = Promise.withResolvers<void>();
      open.add(promise);
      return {
        begin: async () => {
          begun = true;
          await ledger?.write(line);
        },
        settle: async ({ promptTokens: prompt, completionTokens: completion }, state) => {
          try {
            const cost = costOf(model, prompt, completion);
            const [ofTenant, ofKey, ofMoney] = reserved;
            await Promise.all([
              ofTenant?.settle(prompt + completion),
              ofKey?.settle(prompt + completion),
              ofMoney?.settle(cost),
            ]);
            if (!begun) return;
            const settled = { ...line, state, promptTokens: prompt, completionTokens: completion, cost: cost / micro };
            await ledger?.write(settled);
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

async function named<T>(quota: string, reserve: () => Promise<T>): Promise<T> {
  try {
    return await reserve();
  } catch (error) {
    if (!isQuintetError(error) || error.code !== 'QUOTA_EXCEEDED') throw error;
    throw new QuintetError('QUOTA_EXCEEDED', { ...error.details, quota });
  }
}
