import { pauses } from './pauses.mjs';

/** The same pauses, which also keep back answers of which only the I/O was left: nothing at all leaves the process. @type {import('../cell.mjs').Scenario} */
export const wholePauses = {
  ...pauses,
  id: 'whole-pauses',
  title: 'pauses as in C that keep finished answers back too',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, () => ({ holdsAnswers: true })),
};
