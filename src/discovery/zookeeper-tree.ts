import {
  failure,
  type NodeStat,
  operation,
  readStat,
  writeCreate,
  ZooKeeperError,
  type ZooKeeperUser,
} from './zookeeper-protocol.js';
import type { ZooKeeperHow, ZooKeeperSession } from './zookeeper-session.js';
import type { WatchListener } from './zookeeper-watches.js';

/** How a request is to be made, and who is to be told of the next change. */
export interface WatchingHow extends ZooKeeperHow {
  readonly listener: WatchListener;
}

const anyVersion = -1;
/** What cannot be part of a path: what ZooKeeper refuses, and the separator. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
const unfit = /[/\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/;

/**
 * A path of these parts under a root.
 *
 * @throws TypeError for a part that would lead elsewhere
 */
export function pathOf(root: string, ...parts: readonly string[]): string {
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..' || unfit.test(part))
      throw new TypeError(`${JSON.stringify(part.slice(0, 100))} cannot be the name of a node in ZooKeeper`);
  }
  return `${root}/${parts.join('/')}`;
}

/** Whether the server answered just this. */
export function answered(error: unknown, code: number): boolean {
  return error instanceof ZooKeeperError && error.code === code;
}

/** The tree of nodes that servers keep. */
export class ZooKeeperTree {
  constructor(
    readonly session: ZooKeeperSession,
    private readonly user: ZooKeeperUser | undefined,
  ) {}

  /** Looks whether there is such a node. A listener is told when there will be. */
  async exists(path: string, how: ZooKeeperHow | WatchingHow): Promise<NodeStat | undefined> {
    const off = 'listener' in how ? this.session.watches.add('exist', path, how.listener) : undefined;
    try {
      const fill = { fill: path, watch: off !== undefined };
      const stat = readStat(await this.read(operation.exists, fill, how));
      off?.();
      return stat;
    } catch (error) {
      if (answered(error, failure.noNode)) return undefined;
      off?.();
      throw error;
    }
  }

  /** Reads a node. The listener is told when it changes or goes. */
  async data(path: string, how: WatchingHow): Promise<string> {
    const off = this.session.watches.add('data', path, how.listener);
    try {
      return (await this.read(operation.getData, { fill: path, watch: true }, how)).text();
    } catch (error) {
      off();
      throw error;
    }
  }

  /** Names the children of a node. The listener is told when one comes or goes. */
  async children(path: string, how: WatchingHow): Promise<string[]> {
    const off = this.session.watches.add('child', path, how.listener);
    try {
      return (await this.read(operation.getChildren, { fill: path, watch: true }, how)).texts();
    } catch (error) {
      off();
      throw error;
    }
  }

  /** Makes a node that ends with the session. */
  async createEphemeral(path: string, data: string, how: ZooKeeperHow): Promise<void> {
    await this.create(path, { data, ephemeral: true }, how);
  }

  /** Makes all the nodes down to this one that are not there. */
  async ensure(path: string, how: ZooKeeperHow): Promise<void> {
    // Asked first: who may not make a node is refused even when it is there.
    if ((await this.exists(path, how)) !== undefined) return;
    const above = path.slice(0, path.lastIndexOf('/'));
    if (above !== '') await this.ensure(above, how);
    try {
      await this.create(path, { data: '', ephemeral: false }, how);
    } catch (error) {
      if (!answered(error, failure.nodeExists)) throw error;
    }
  }

  /** Takes a node out, if it is there. */
  async remove(path: string, how: ZooKeeperHow): Promise<void> {
    try {
      await this.session.request(operation.delete, (writer) => writer.text(path).int(anyVersion), how);
    } catch (error) {
      if (!answered(error, failure.noNode)) throw error;
    }
  }

  private create(
    path: string,
    node: { readonly data: string; readonly ephemeral: boolean },
    how: ZooKeeperHow,
  ): Promise<unknown> {
    const { user } = this;
    return this.session.request(
      operation.create,
      (writer) => writeCreate(writer, { path, ...node, user }),
      how,
    );
  }

  private read(type: number, { fill, watch }: { fill: string; watch: boolean }, how: ZooKeeperHow) {
    return this.session.request(type, (writer) => writer.text(fill).bool(watch), how);
  }
}
