/** More than the replicas can do, in which nobody can be quick: what counts is who fails. @type {import('../cell.mjs').Scenario} */
export const overload = {
  id: 'overload',
  title: 'equal replicas, a twentieth too many calls',
  loads: [1.05],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, () => ({})),
};
