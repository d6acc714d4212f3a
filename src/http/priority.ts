import type { Carrier } from '../core/carrier.js';

/** Priority of a call as metadata, so that the whole chain behind it keeps it. */
export const priorityHeader = 'x-md-global-priority';

/** A whole number from -100 to 100; 0, which is also the meaning of anything else. */
export function inboundPriority(headers: Carrier): number {
  return parsePriority(headers.get(priorityHeader));
}

/** The same of a header's value. */
export function parsePriority(text: string | undefined): number {
  if (text === undefined || !/^-?\d{1,3}$/.test(text)) return 0;
  const priority = Number(text);
  return priority >= -100 && priority <= 100 ? priority : 0;
}
