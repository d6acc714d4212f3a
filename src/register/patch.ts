/** Whether a function that was put in the place of another is still to do more than call that. */
export interface Patch {
  readonly isOver: boolean;
}

/**
 * Puts a function in the place of a method.
 *
 * @param make - is given the function that was there, and what tells when to do nothing but call it
 * @returns what puts the old one back; where somebody has put another on top meanwhile ours stays below, and its patch is over
 */
export function patch<Owner extends object, Name extends keyof Owner>(
  owner: Owner,
  name: Name,
  make: (original: Owner[Name], state: Patch) => Owner[Name],
): () => void {
  const own = Object.getOwnPropertyDescriptor(owner, name);
  const original = owner[name];
  const state = { isOver: false };
  const wrapper = make(original, state);
  Object.defineProperty(owner, name, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    writable: true,
    value: wrapper,
  });
  return () => {
    state.isOver = true;
    if (owner[name] !== wrapper) return;
    if (own === undefined) delete owner[name];
    else Object.defineProperty(owner, name, own);
  };
}
