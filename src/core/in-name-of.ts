/** What our own factories threw about options. Whatever else is thrown meanwhile is the user's, however it begins. */
const complaints = new WeakSet<Error>();

/** Marks an error as one about an option, which {@link inNameOf} may say in other words. */
export function aboutOption<Kind extends TypeError | RangeError>(error: Kind): Kind {
  complaints.add(error);
  return error;
}

/** Whether somebody is told by it of an option that cannot be. */
export function isAboutOption(error: unknown): error is TypeError | RangeError {
  return error instanceof Error && complaints.has(error);
}

const word = /^\w/;

function renamed(error: unknown, names: Readonly<Record<string, string>>): unknown {
  if (!isAboutOption(error)) return error;
  const { message, cause } = error;
  for (const [part, name] of Object.entries(names)) {
    const rest = message.slice(part.length);
    if (!message.startsWith(part) || word.test(rest)) continue;
    const Kind = error instanceof RangeError ? RangeError : TypeError;
    return aboutOption(new Kind(name + rest, cause === undefined ? undefined : { cause }));
  }
  return error;
}

/**
 * Makes something of parts. What these throw about their options names them as the user wrote them, who may never have heard
 * of the parts: `retry.attempts` is `app.fetch.retry.attempts`.
 *
 * @param names - what messages begin with, and what they should; the first that fits counts
 */
export function inNameOf<T>(names: Readonly<Record<string, string>>, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw renamed(error, names);
  }
}
