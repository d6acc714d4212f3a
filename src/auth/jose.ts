/** What is used of the package `jose`. */
export type Jose = typeof import('jose');

let loading: Promise<Jose> | undefined;

/**
 * The package `jose`, loaded when the first token is signed or verified: who only attaches tokens does without it.
 *
 * @throws (as a rejection) Error that says what to install
 */
export function loadJose(): Promise<Jose> {
  loading ??= import('jose').catch((cause: unknown) => {
    // The next call may find it: packages are installed while processes run.
    loading = undefined;
    throw new Error('keelson/auth needs the package jose to sign and verify tokens; npm install jose', {
      cause,
    });
  });
  return loading;
}
