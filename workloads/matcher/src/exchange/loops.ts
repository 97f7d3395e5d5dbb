// What a pod does between requests, each on its own clock: sends due webhook calls, reads feeds, enables items whose date has come.
import type { EngineContext } from '@quintet/runtime';
import { forgetArrivals } from '../record/arrivals.ts';
import { enableDue } from '../record/due.ts';
import type { Recorded } from '../record/record.ts';
import { type Feed, importFeed } from './feeds.ts';
import { claimed, deliver, prune, type Webhook } from './webhooks.ts';

/** Items of feeds belong to the tenant of a pool without tokens. */
const actor = { tenant: 'default', name: 'feed' };
const deliverEvery = 1000;
const pruneEvery = 3_600_000;
const enableEvery = 10_000;

/** Returns what stops them; a reading or sending under way ends by itself. */
export function startExchange(
  record: Recorded,
  { webhooks, feeds }: { webhooks: readonly Webhook[]; feeds: readonly (Feed & { interval: number })[] },
  log: EngineContext<unknown>['log'],
): () => void {
  let stopped = false;
  const loops = feeds.map((feed) =>
    every(feed.interval, async () => {
      const { refused, reason, ...done } = await importFeed(record, actor, feed);
      if (done.added + done.changed + done.withdrawn > 0) log.info({ feed: feed.name, ...done }, 'feed read');
      if (refused > 0) log.warn({ feed: feed.name, refused, reason }, 'entries of the feed are not as described');
    }),
  );
  // Each on its own, so that a receiver that does not answer holds up no other.
  for (const webhook of webhooks) {
    loops.push(
      every(deliverEvery, async () => {
        while (!stopped && (await deliver(record, [webhook])) === claimed) continue;
      }),
    );
  }
  loops.push(
    every(pruneEvery, async () => {
      await prune(record, webhooks);
      await record.transaction(forgetArrivals);
    }),
  );
  loops.push(
    every(enableEvery, async () => {
      while (!stopped && (await record.transaction(enableDue)) > 0) continue;
    }),
  );
  return () => {
    stopped = true;
    for (const stop of loops) stop();
  };

  function every(milliseconds: number, work: () => Promise<void>): () => void {
    let busy = false;
    const run = async () => {
      if (busy) return;
      busy = true;
      await work().catch((error: unknown) => log.warn({ err: error }, 'work between requests failed'));
      busy = false;
    };
    void run();
    const timer = setInterval(() => void run(), milliseconds);
    timer.unref();
    return () => clearInterval(timer);
  }
}
