/** Replicas that are all alike. @type {import('../cell.mjs').Scenario} */
export const equal = {
  id: 'A',
  title: 'equal replicas',
  loads: [0.4, 0.5, 0.7, 0.9],
  chosenOn: true,
  replicas: () => Array.from({ length: 30 }, () => ({})),
};
