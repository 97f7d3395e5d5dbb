// Texts of others in what is said to people, and kept in stores that refuse half a character.

/** At most so many UTF-16 units; a character is never cut in two. */
export function startOf(text: string, most: number): string {
  return text
    .slice(0, most)
    .replace(/[\uD800-\uDBFF]$/, '')
    .toWellFormed();
}

/** JSON as PostgreSQL's jsonb takes it, which knows neither half a character nor U+0000. */
export function jsonOf(value: unknown): string {
  const kept = (text: string) => text.toWellFormed().replaceAll('\0', '\uFFFD');
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'string' ? kept(each) : each));
}
