import { isAboutOption } from './in-name-of.js';

/**
 * Whether a function was given where what it makes belongs: it took its argument for its options, and complains of them in its own
 * name.
 *
 * @param given - what was called
 * @param thrown - what it threw
 */
export function isUncalled(given: unknown, thrown: unknown): boolean {
  if (typeof given !== 'function' || given.name === '' || !isAboutOption(thrown)) return false;
  const { message } = thrown;
  return message.startsWith(given.name) && !/^\w/.test(message.slice(given.name.length));
}
