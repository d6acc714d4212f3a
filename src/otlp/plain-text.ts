/** Longest text that a line has. */
const longest = 200;

/** A text for a line: short, and without line breaks and other control characters, for it may come from the network. */
export function plainText(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}
