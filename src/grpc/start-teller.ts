import { Metadata } from '@grpc/grpc-js';
import { tiedHeader } from '../core/tied-copy.js';

/** Methods whose handlers send headers of their own; of more of them the later ones lose theirs once. */
const mostKnown = 1000;

/** The methods of one server whose handlers were seen to send headers of their own. */
export class OwnHeaders {
  private readonly paths = new Set<string>();

  has(path: string): boolean {
    return this.paths.has(path);
  }
  note(path: string): void {
    if (this.paths.size < mostKnown) this.paths.add(path);
  }
}

function isEmpty(metadata: Metadata): boolean {
  return Object.keys(metadata.toJSON()).length === 0;
}

/**
 * Tells the sender of a tied copy that its handler starts, by the headers of the answer. There are headers once: those that
 * a handler sends after that go out as trailers, and from then on its method tells with its own headers, not before.
 */
export class StartTeller {
  private gone = false;
  private late: Metadata | undefined = undefined;

  constructor(
    private readonly path: string,
    private readonly own: OwnHeaders,
    private readonly send: (headers: Metadata) => void,
  ) {}

  /** The handler starts. */
  start(): void {
    if (this.gone || this.own.has(this.path)) return;
    this.send(this.headers(new Metadata()) as Metadata);
  }

  /** @returns what goes out in place of the headers of an answer; `undefined` when those are gone */
  headers(given: Metadata): Metadata | undefined {
    if (this.gone) {
      if (isEmpty(given)) return undefined;
      this.own.note(this.path);
      this.late = given.clone();
      return undefined;
    }
    this.gone = true;
    const told = given.clone();
    told.set(tiedHeader, 'started');
    return told;
  }

  /** The trailers, with what came too late for the headers. */
  trailers<Given extends Metadata | null | undefined>(given: Given): Given | Metadata {
    if (this.late === undefined) return given;
    const all = typeof given?.clone === 'function' ? given.clone() : new Metadata();
    all.merge(this.late);
    return all;
  }
}
