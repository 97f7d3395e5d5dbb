// Calls on a match that the record holds: sent by whichever replica comes first, signed,
// tried again with growing pauses. A receiver may see a call twice, and knows it by the identifier in its signed body.
import { createHmac } from 'node:crypto';
import type { Recorded } from '../record/record.ts';

export interface Webhook {
  readonly name: string;
  readonly url: string;
  /** Signs each call. */
  readonly key: string;
  /** How often a failed call is tried again. */
  readonly retries: number;
  /** Left out, all. */
  readonly banks?: readonly string[] | undefined;
}

interface Delivery {
  readonly number: number;
  readonly webhook: string;
  readonly body: string;
  readonly attempts: number;
}

/** Seconds for an answer; a claimed call that was not settled in three times that is tried by another replica. */
const answerWithin = 10;
const mostPause = 3600;
export const claimed = 16;
/** Days that calls are kept which came to an end. */
const keptDays = 7;

/** Sends what is due and returns how many calls were tried. */
export async function deliver(record: Recorded, webhooks: readonly Webhook[]): Promise<number> {
  const byName = new Map(webhooks.map((webhook) => [webhook.name, webhook]));
  const due = await record.transaction(async (client) => {
    const { rows } = await client.query<Delivery>(
      `update deliveries set attempts = attempts + 1, due_at = now() + make_interval(secs => $1)
       where number in (
         select number from deliveries
         where delivered_at is null and failed_at is null and due_at <= now() and webhook = any($2)
         order by due_at limit $3 for update skip locked)
       returning number::float8 as number, webhook, body, attempts`,
      [3 * answerWithin, [...byName.keys()], claimed],
    );
    return rows;
  });
  await Promise.all(
    due.map(async (delivery) => {
      const webhook = byName.get(delivery.webhook) as Webhook;
      const error = await send(webhook, delivery);
      await settle(record, delivery, webhook, error);
    }),
  );
  return due.length;
}

/** Forgets calls that came to an end some days ago, and those of webhooks that are no more. */
export async function prune(record: Recorded, webhooks: readonly Webhook[]): Promise<void> {
  await record.transaction(async (client) => {
    await client.query(
      `delete from deliveries where coalesce(delivered_at, failed_at) < now() - make_interval(days => $1)
         or (webhook <> all($2) and due_at < now() - make_interval(days => $1))`,
      [keptDays, webhooks.map(({ name }) => name)],
    );
  });
}

/** `t=<seconds>,v1=<hexadecimal HMAC-SHA-256 of "t.body">`: the time is signed, so that old calls cannot be played again. */
export function signature(key: string, body: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', key).update(`${seconds}.${body}`).digest('hex')}`;
}

async function send({ url, key }: Webhook, { number, body }: Delivery): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-quintet-delivery': String(number),
        'x-quintet-signature': signature(key, body, Math.floor(Date.now() / 1000)),
      },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(answerWithin * 1000),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `status ${response.status}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }
}

async function settle(
  record: Recorded,
  { number, attempts }: Delivery,
  { retries }: Webhook,
  error: string | undefined,
): Promise<void> {
  const over = error !== undefined && attempts > retries;
  const pause = Math.min(mostPause, 2 ** (attempts - 1));
  await record.transaction(async (client) => {
    await client.query(
      `update deliveries set error = $2, delivered_at = case when $2::text is null then now() end,
         failed_at = case when $3 then now() end, due_at = now() + make_interval(secs => $4) where number = $1`,
      [number, error ?? null, over, pause],
    );
  });
}
