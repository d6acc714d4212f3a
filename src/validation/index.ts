/**
 * Validation by any library that follows Standard Schema: as middleware on both sides, and inside handlers.
 *
 * @module
 */
export type { Issue, IssuePath, StandardSchema, Verdict } from './standard-schema.js';
export { type ValidateOptions, validate, validateDefaults, validOf } from './validate.js';
export { type ValidatedOptions, validated, validatedDefaults, validatedSync } from './validated.js';
