import { parseArgs } from 'node:util';

export const usage = `Usage: npm run demo -- [--seconds N] [--rps N] [--json]

  --seconds N   how long both phases take together; 8 to 600, 28 by default
  --rps N       requests per second, open loop; 10 to 1000, 120 by default
  --json        print one JSON object at the end and nothing else
`;

function number(name, text, min, max, fallback) {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  process.stderr.write(`demo: --${name} must be a number from ${min} to ${max}, got "${text}"\n`);
  process.exit(2);
}

/** Reads the command line; a mistake ends the process with code 2 and one line that names it. */
export function demoOptions(argv) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        seconds: { type: 'string' },
        rps: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    process.stderr.write(`demo: ${error.message}\n${usage}`);
    process.exit(2);
  }
  return {
    json: values.json,
    help: values.help,
    phaseSeconds: number('seconds', values.seconds, 8, 600, 28) / 2,
    rps: number('rps', values.rps, 10, 1000, 120),
  };
}
