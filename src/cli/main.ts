#!/usr/bin/env node
import { runProgram } from './program.js';
import { interrupted } from './signals.js';
import { packageVersion } from './version.js';

// Whoever read the output may be gone (`keelson registry | head`); a registry goes on without.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

runProgram(
  process.argv.slice(2),
  {
    env: process.env,
    people: process.stdout.isTTY === true,
    out: (line) => console.log(line),
    err: (line) => console.error(line),
    interrupted,
  },
  () => packageVersion(process.argv[1] ?? ''),
).then(
  (code) => {
    // Not exit(): lines still on their way to a pipe would be lost.
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
