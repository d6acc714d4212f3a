/** What a method is called that this server does not have; the word of the semantic conventions. */
export const otherMethod = '_OTHER';

/** Most methods that are known by their names. */
const mostMethods = 1000;

/** The methods of the servers of this process, as far as they have shown themselves. Paths are what a stranger writes. */
export class KnownMethods {
  private readonly known = new Set<string>();

  /**
   * The name of a method in metrics.
   *
   * @param method - as the client has it
   * @param exists - whether this call was answered as only a method is that is there
   */
  nameOf(method: string, exists: boolean): string {
    if (this.known.has(method)) return method;
    if (!exists || this.known.size >= mostMethods) return otherMethod;
    this.known.add(method);
    return method;
  }
}
