import fc from 'fast-check';

// A gate that every change passes has to say the same of the same change; elsewhere each run looks somewhere new. A failure
// prints its seed, and KEELSON_SEED repeats it.
const seed = process.env['KEELSON_SEED'] ?? (process.env['CI'] ? '20261122' : undefined);
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
