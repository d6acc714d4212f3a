import { JuteWriter } from './jute.js';
import { fixedXid, happened, operation } from './zookeeper-protocol.js';

/** What is watched of a node: its data, that it comes to be, its children. */
export type WatchKind = 'data' | 'exist' | 'child';

/** Somebody who wants to know. */
export interface WatchListener {
  /** On whose behalf: all that is his is forgotten at once. */
  readonly owner: object;
  /** Told once: that something happened, or with an error that nothing will be told any more. */
  run(error: Error | undefined): void;
}

const kinds: readonly WatchKind[] = ['data', 'exist', 'child'];
/** Which watches an event ends. */
const ended: Readonly<Record<number, readonly WatchKind[]>> = {
  [happened.created]: ['data', 'exist'],
  [happened.deleted]: ['data', 'exist', 'child'],
  [happened.dataChanged]: ['data', 'exist'],
  [happened.childrenChanged]: ['child'],
};
/** Servers take requests up to a megabyte; this leaves room for whatever is counted otherwise. */
const maxFrameChars = 131_072;

/** The watches of one session. A server forgets them with the connection; they are set again on the next one. */
export class WatchTable {
  private readonly tables: Readonly<Record<WatchKind, Map<string, Set<WatchListener>>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
  };

  /** @returns to be called when nobody wants to know any more */
  add(kind: WatchKind, path: string, listener: WatchListener): () => void {
    const table = this.tables[kind];
    const listeners = table.get(path) ?? new Set();
    listeners.add(listener);
    table.set(path, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && table.get(path) === listeners) table.delete(path);
    };
  }

  /** Something happened to a node. */
  fire(type: number, path: string): void {
    for (const kind of ended[type] ?? []) {
      const listeners = this.tables[kind].get(path);
      this.tables[kind].delete(path);
      for (const listener of listeners ?? []) listener.run(undefined);
    }
  }

  /** Somebody wants to know nothing any more. */
  forget(owner: object): void {
    for (const kind of kinds) {
      for (const [path, listeners] of this.tables[kind]) {
        for (const listener of listeners) if (listener.owner === owner) listeners.delete(listener);
        if (listeners.size === 0) this.tables[kind].delete(path);
      }
    }
  }

  /** Nothing will be told any more. */
  drop(error: Error): void {
    for (const kind of kinds) {
      const all = [...this.tables[kind].values()];
      this.tables[kind].clear();
      for (const listeners of all) for (const listener of listeners) listener.run(error);
    }
  }

  /**
   * What sets all of them again. The server tells at once of whatever has happened meanwhile.
   *
   * @param since - the newest that was seen
   */
  frames(since: bigint): Buffer[] {
    const frames: Buffer[] = [];
    let batch: Record<WatchKind, string[]> = { data: [], exist: [], child: [] };
    let chars = 0;
    const flush = (): void => {
      if (chars === 0) return;
      const writer = new JuteWriter().int(fixedXid.setWatches).int(operation.setWatches).long(since);
      for (const kind of kinds) writer.texts(batch[kind]);
      frames.push(writer.frame());
      batch = { data: [], exist: [], child: [] };
      chars = 0;
    };
    for (const kind of kinds) {
      for (const path of this.tables[kind].keys()) {
        if (chars + path.length > maxFrameChars) flush();
        batch[kind].push(path);
        chars += path.length + 4;
      }
    }
    flush();
    return frames;
  }
}
