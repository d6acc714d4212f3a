/** A few clients make most of the calls: the share of each is one over its rank. @type {import('../cell.mjs').Scenario} */
export const skewedClients = {
  id: 'skewed-clients',
  title: 'calls of clients by one over their rank',
  loads: [0.7, 0.9],
  chosenOn: false,
  replicas: () => Array.from({ length: 30 }, () => ({})),
  shares: (clients) => Array.from({ length: clients }, (_, index) => 1 / (index + 1)),
};
