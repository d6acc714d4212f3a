/** Where a sender asks about copies that it sent: by `POST`, with the copy and the question in headers. */
export const tiedPath = '/.well-known/keelson/tied';

/**
 * What stands before the path of a copy that has to be let. A server that knows nothing of this has no such path, and so
 * does not run it.
 */
export const claimPath = `${tiedPath}/claim`;

/** The question: `withdraw` or `grant`. */
export const tiedAskHeader = 'x-keelson-tied-ask';
