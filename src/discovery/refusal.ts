/** The registry answered, and does not want it: as it stands, the same again will be refused again. */
export class RegistryRefusal extends Error {
  override readonly name = 'RegistryRefusal';

  /** @param status - of HTTP, where that is how it said so */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/** The registry does not, or no longer, have what was to be renewed. */
export class NotRegistered extends Error {
  override readonly name = 'NotRegistered';
}
