/**
 * The beginning of a text, if it is longer than that.
 *
 * The engine keeps a part of a text as a view of the whole, so that ten thousand characters would keep a megabyte; of a much
 * longer one the part is copied.
 */
export function cutText(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, Math.max(0, length));
  // Joined and taken apart again: to find a place in what is joined, the engine writes it down anew.
  return text.length > 2 * cut.length ? ` ${cut}`.slice(1) : cut;
}
