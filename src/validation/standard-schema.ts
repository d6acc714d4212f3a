/** Where in a value something is wrong: keys from the outside in. */
export type IssuePath = readonly (PropertyKey | { readonly key: PropertyKey })[];

/** One thing that is wrong with a value. */
export interface Issue {
  /** What, in words. */
  readonly message: string;
  /** Where; the value as a whole if left out. */
  readonly path?: IssuePath | undefined;
}

/** What a schema makes of a value: the value in its output form, or what is wrong with it. */
export type Verdict<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

/**
 * A schema of any library that follows the Standard Schema specification, version 1: zod 3.24 and later, valibot 1,
 * arktype 2 and others. Objects and functions alike.
 *
 * Source: standardschema.dev; only what is used here is declared.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The library's own part. */
  readonly '~standard': {
    /** Of the specification. */
    readonly version: 1;
    /** Name of the library. */
    readonly vendor: string;
    /** Looks at a value, at once or with a promise. */
    readonly validate: (value: unknown) => Verdict<Output> | Promise<Verdict<Output>>;
    /** For the type checker alone. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/**
 * Checks an argument that has to be a schema.
 *
 * @throws TypeError when it is none
 */
export function checkSchema(field: string, schema: unknown): void {
  const standard = (schema as StandardSchema | null | undefined)?.['~standard'];
  if (typeof standard?.validate === 'function') return;
  throw new TypeError(`${field} must be a schema that follows Standard Schema (zod, valibot, arktype)`);
}

/**
 * Looks at a value.
 *
 * @throws what the schema throws, which is a bug of its author
 */
export function judge<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
): Verdict<Output> | Promise<Verdict<Output>> {
  return schema['~standard'].validate(value);
}
