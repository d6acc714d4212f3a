import { markdown } from '../../table.mjs';
import { chosenOn, keptBack } from './faults.mjs';
import { rules } from './rules.mjs';
import { play } from './tiers.mjs';

/** @typedef {import('./faults.mjs').Trouble} Trouble */

/** @param {number} value */
const two = (value) => value.toFixed(2);

/** @param {readonly Trouble[]} troubles @param {readonly string[]} names @param {{ seed: number, share: number }} how */
async function table(troubles, names, { seed, share }) {
  /** @type {Record<string, Record<string, Awaited<ReturnType<typeof play>>>>} */
  const found = {};
  for (const name of names) {
    const rule = rules[name];
    if (rule === undefined) throw new RangeError(`retrying: there is no rule ${name}`);
    found[name] = {};
    for (const { name: trouble, fault, perSecond, seconds, fromMs = 0 } of troubles)
      found[name][trouble] = await play(rule, {
        perSecond: perSecond * share,
        seconds,
        seed,
        fault,
        fromMs,
      });
  }
  const text = markdown(
    ['amplified at the bottom / served', ...troubles.map(({ name }) => name)],
    names.map((name) => [
      name,
      ...troubles.map((trouble) => {
        const one = found[name]?.[trouble.name];
        return one === undefined ? '' : `${two(one.amplified)} / ${one.served.toFixed(4)}`;
      }),
    ]),
  );
  return { found, text };
}

/** Retries in three tiers while something at the bottom fails. @type {import('../studies.mjs').Study} */
export async function retrying({ quick, seed, tell }) {
  const names = quick
    ? [
        'naive, 3 tries',
        'keelson budget and signal',
        'keelson budget and signal, 3 tries',
        'keelson as it comes',
      ]
    : Object.keys(rules);
  const how = { seed, share: quick ? 1 / 3 : 1 };
  tell('retrying: chosen on');
  const chosen = await table(chosenOn, names, how);
  tell('retrying: kept back');
  const kept = await table(quick ? keptBack.slice(0, 1) : keptBack, names, how);
  const alone = chosen.found['keelson budget and signal'];
  const whole = chosen.found['keelson as it comes'];
  const storms = ['all down', 'all down from the start'];
  const most = Math.max(
    ...storms.flatMap((name) => [alone?.[name]?.amplified ?? 0, whole?.[name]?.amplified ?? 0]),
  );
  const masked = Math.min(...[alone, whole].map((one) => one?.['5 % fail by chance']?.served ?? 0));
  const goals = [
    { goal: 'three tiers under full outage amplify <= 1.2', found: most, met: most <= 1.2 },
    { goal: '5 % that fail by chance are served >= 0.995', found: masked, met: masked >= 0.995 },
  ];
  return {
    text: [
      'Five users, three tiers of three services; the bottom fails. Requests there per request of a user / share that is served.',
      chosen.text,
      markdown(
        ['goal', 'found', 'met'],
        goals.map(({ goal, found, met }) => [goal, found.toFixed(3), met ? 'yes' : 'NO']),
      ),
      'Kept back:',
      kept.text,
    ].join('\n\n'),
    json: { chosen: chosen.found, goals, keptBack: kept.found },
  };
}
