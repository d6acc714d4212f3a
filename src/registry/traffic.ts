/** How often each path was answered with which code. As many entries as the protocol has, whatever is asked. */
export class Traffic {
  private readonly counts = new Map<string, Map<number, number>>();

  /** @param path - one of the protocol's */
  count(path: string, code: number): void {
    let codes = this.counts.get(path);
    if (codes === undefined) {
      codes = new Map();
      this.counts.set(path, codes);
    }
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }

  *all(): Iterable<{ readonly path: string; readonly code: number; readonly times: number }> {
    for (const [path, codes] of this.counts) for (const [code, times] of codes) yield { path, code, times };
  }
}
