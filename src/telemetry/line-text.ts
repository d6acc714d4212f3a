/** Longest text of one field. */
const longest = 2048;

/** Neither quote nor backslash nor anything beyond printable ASCII: nearly all that a log is told. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * What a terminal or a reader of lines takes for more than a character: DEL, the control characters of Latin-1 (of which one
 * begins escape sequences), the separators of lines, marks that turn the direction of the text round.
 */
const tricky = /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * A text of unknown origin in quotes, on one line, whatever it holds: JSON of it, with what JSON lets pass escaped too. What
 * is longer than 2048 characters is cut.
 */
export function quoted(text: string): string {
  const shown = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return plain.test(shown) ? `"${shown}"` : JSON.stringify(shown).replace(tricky, escaped);
}

/** A value of a user's as JSON on one line; `undefined` for what has none. Never throws. */
export function valueText(value: unknown): string | undefined {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === 'boolean') return String(value);
  if (value === undefined) return undefined;
  try {
    const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
    if (text === undefined) return undefined;
    // An object cut in two is no JSON, so it becomes a text.
    return text.length > longest ? quoted(text) : text.replace(tricky, escaped);
  } catch {
    return undefined;
  }
}
