// Bearer tokens from a mounted Secret: a file per tenant, one token a line. Read again when the Secret changes.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { basename } from 'node:path';
import { readFiles, type Watch, type WatchOptions, watchPath } from '../watch.ts';

/** The file whose tokens may profile, purge and heal. No Kubernetes name starts with an underscore, so no tenant can have it. */
export const adminTenant = '_admin';

export interface Identity {
  tenant: string;
  admin: boolean;
  /** Stable name of the token for limits and logs; says nothing about the token itself. */
  client: string;
}

export interface TokenDirectory {
  /** Who sent this `Authorization` header, or undefined. Takes as long for a wrong token as for a right one. */
  identify: (authorization: string | undefined) => Identity | undefined;
  readonly size: number;
  /** Reads again if files changed. */
  check: () => Promise<void>;
  close: () => void;
}

const tenantName = /^(_admin|[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?)$/;
const minimumLength = 16;

/**
 * Reads tokens and watches them. Throws at start when there is no token at all, when one is shorter than 16 characters or belongs to two
 * tenants; a later change that is faulty in this way is reported to `onError` and the last good set stays.
 */
export async function tokenDirectory(directory: string, options: WatchOptions = {}): Promise<TokenDirectory> {
  const key = randomBytes(32);
  const digest = (token: string) => createHmac('sha256', key).update(token).digest();
  let tokens = await load(directory, digest);
  const watch: Watch = await watchPath(
    directory,
    async () => {
      tokens = await load(directory, digest);
    },
    options,
  );
  return {
    identify: (authorization) => {
      const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(authorization ?? '') ?? [];
      // Looked up by a keyed digest: neither the table nor the time of the comparison tells about the tokens.
      const presented = digest(token ?? '');
      const known = tokens.get(presented.toString('base64'));
      return known && token !== undefined && timingSafeEqual(known.digest, presented) ? known.identity : undefined;
    },
    get size() {
      return tokens.size;
    },
    check: watch.check,
    close: watch.close,
  };
}

type Known = Map<string, { digest: Buffer; identity: Identity }>;

async function load(directory: string, digest: (token: string) => Buffer): Promise<Known> {
  const known: Known = new Map();
  const short = new Set<string>();
  for (const [tenant, content] of await readFiles(directory)) {
    if (!tenantName.test(tenant)) throw new Error(`${tenant} in ${directory} is not the name of a tenant`);
    for (const line of content.split('\n')) {
      const token = line.trim();
      if (token === '' || token.startsWith('#')) continue;
      if (token.length < minimumLength) {
        short.add(tenant);
        continue;
      }
      const hashed = digest(token);
      const id = hashed.toString('base64');
      if ((known.get(id)?.identity.tenant ?? tenant) !== tenant)
        throw new Error(`${tenant} has a token of another tenant`);
      known.set(id, {
        digest: hashed,
        identity: { tenant, admin: tenant === adminTenant, client: `${tenant}/${stableName(token)}` },
      });
    }
  }
  if (short.size > 0)
    throw new Error(
      `tokens shorter than ${minimumLength} characters: of ${[...short].sort().join(', ')}; replace them in ${placeOf(directory)} ` +
        'by longer ones, such as `openssl rand -hex 32` makes, and the pods start by themselves',
    );
  if (known.size === 0) throw new Error(`${directory} holds no token`);
  return known;
}

/** A Secret is mounted under the name of the field that refers to it. */
function placeOf(directory: string): string {
  const field = basename(directory);
  return field.endsWith('.secretRef') ? `the Secret of spec.${field}` : directory;
}

/** The same on every replica, so that a limit shared through Redis counts one client as one. */
function stableName(token: string): string {
  return createHmac('sha256', 'quintet client name').update(token).digest('hex').slice(0, 12);
}
