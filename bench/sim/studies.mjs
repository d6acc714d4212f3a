/**
 * @typedef {object} StudyOptions
 * @property {boolean} quick fewer cells, shorter runs: for a look, and for CI
 * @property {number} seed
 * @property {(text: string) => void} tell how far it is
 */
/** @typedef {{ readonly text: string, readonly json: object }} StudyResult */
/** @typedef {(options: StudyOptions) => Promise<StudyResult>} Study */

/** In their order, loaded when it is their turn. @type {Readonly<Record<string, () => Promise<Study>>>} */
export const studies = {
  balancing: async () => (await import('./balancing/study.mjs')).balancing,
  limiting: async () => (await import('./limiting/study.mjs')).limiting,
  breaking: async () => (await import('./breaking/study.mjs')).breaking,
  retrying: async () => (await import('./retrying/study.mjs')).retrying,
  series: async () => (await import('./series/study.mjs')).series,
};
