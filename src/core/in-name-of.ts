const word = /^\w/;

function renamed(error: unknown, names: Readonly<Record<string, string>>): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  const { message, cause } = error;
  for (const [part, name] of Object.entries(names)) {
    const rest = message.slice(part.length);
    if (!message.startsWith(part) || word.test(rest)) continue;
    const Kind = error instanceof RangeError ? RangeError : TypeError;
    return new Kind(name + rest, cause === undefined ? undefined : { cause });
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
