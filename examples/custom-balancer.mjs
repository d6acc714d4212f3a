// A balancer of your own is two methods. This one keeps to the first endpoint until that fails, then moves on.
//
// expect: primary primary backup backup
import { clientStack } from 'keelson';
import { createCall } from 'keelson/core';
import { staticEndpoints } from 'keelson/discovery';

function primaryBackup() {
  let endpoints = [];
  const failedAt = new Map();
  return {
    update(next) {
      endpoints = next;
    },
    pick(now, hint) {
      const usable = (e) =>
        !hint?.avoid?.has(e.id) && now - (failedAt.get(e.id) ?? Number.NEGATIVE_INFINITY) > 10_000;
      const endpoint = endpoints.find(usable) ?? endpoints[0];
      if (endpoint === undefined) return null;
      const learn = (outcome, at) => {
        if (outcome === 'failure') failedAt.set(endpoint.id, at);
      };
      return { endpoint, reason: 'primary-backup', observe: learn, release: learn };
    },
  };
}

// A wire of your own is three members. Here the "network" is a function.
let primaryIsUp = true;
const wire = {
  schemes: ['http'],
  protocol: {
    classify: (response) => (response === undefined ? 'failure' : 'success'),
    replay: (request) => request,
  },
  connect: ({ metadata }) => ({
    close: () => undefined,
    handler: async () => {
      if (metadata.role === 'primary' && !primaryIsUp) throw new Error('connection refused');
      return metadata.role;
    },
  }),
};

const users = clientStack({
  service: 'users',
  wire,
  balancer: primaryBackup(),
  resolver: staticEndpoints({
    users: [
      { url: 'http://10.0.0.1:80', metadata: { role: 'primary' } },
      { url: 'http://10.0.0.2:80', metadata: { role: 'backup' } },
    ],
  }),
});
const ask = () =>
  users.handler(
    'hello',
    createCall({ side: 'client', service: 'users', operation: 'hello', idempotent: true }),
  );

const answers = [await ask(), await ask()];
primaryIsUp = false;
// The retry meets the backup; after that the primary is not even tried.
answers.push(await ask(), await ask());
console.log(answers.join(' '));
users.close();
