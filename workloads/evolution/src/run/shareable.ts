// A spec as reports and the registry have it, which are passed on: without the variables of its pods, and without what addresses hold of secrets.
import type { EvolutionRunSpec } from '@quintet/crds';

export function shareableSpec(spec: EvolutionRunSpec): object {
  const { pod: _pod, ...shared } = spec;
  return withShareableUrls(shared) as object;
}

/** Without user, password, query and fragment: signatures and tokens stand there. */
export function shareableUrl(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed) return url.replace(/[?#].*$/s, '');
  const { username, password, search, hash } = parsed;
  if (username === '' && password === '' && search === '' && hash === '') return url;
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

function withShareableUrls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withShareableUrls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      typeof member === 'string' && (key === 'url' || key === 'endpoint')
        ? shareableUrl(member)
        : withShareableUrls(member),
    ]),
  );
}
