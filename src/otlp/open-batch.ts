import type { EndedSpan, InstrumentationScope } from '../tracer/ended-span.js';
import type { Resource } from '../tracer/resource.js';
import { ByteWriter, overBound } from './byte-writer.js';
import type { Encoding } from './encoding.js';
import type { LossReason } from './losses.js';

/** How many writers are kept for the next batch. */
const mostSpare = 4;
/** A larger one is not kept: it grew for a batch that was not like others. */
const mostSpareBytes = 1_048_576;

/** Spans as they will be sent. */
export interface Batch {
  readonly body: Buffer;
  readonly spans: number;
}

/**
 * The batch that is being filled: each span becomes bytes when it is added, and nothing of it is held. So there is no moment
 * at which hundreds of spans have to be encoded at once, and what a full memory holds is known to the byte.
 */
export class OpenBatch {
  private shelves = new Map<Resource, Map<InstrumentationScope, ByteWriter>>();
  private readonly spare: ByteWriter[] = [];
  /** Most spans have the resource and the scope of the one before. */
  private resource: Resource | undefined;
  private scope: InstrumentationScope | undefined;
  private writer: ByteWriter | undefined;
  private counted = 0;
  private size = 0;

  constructor(
    private readonly encoding: Encoding,
    private readonly maxSpanBytes: number,
  ) {}

  get spans(): number {
    return this.counted;
  }

  get bytes(): number {
    return this.size;
  }

  /**
   * Adds a span.
   *
   * @returns why it was left out, or `undefined`
   */
  add(span: EndedSpan): LossReason | undefined {
    let writer: ByteWriter | undefined;
    let before = 0;
    try {
      writer = this.writerOf(span.resource, span.instrumentationScope);
      before = writer.at;
      writer.bound(this.maxSpanBytes);
      this.encoding.writeSpan(writer, span);
      this.size += writer.at - before;
      this.counted++;
      return undefined;
    } catch (error) {
      if (writer !== undefined) writer.at = before;
      return error === overBound ? 'too_large' : 'export_failed';
    }
  }

  /** Takes what was added, and begins anew; `undefined` when there is nothing. */
  take(): Batch | undefined {
    if (this.counted === 0) return undefined;
    const { shelves, counted: spans } = this;
    for (const [resource, scopes] of shelves) {
      for (const [scope, writer] of scopes) if (writer.at === 0) scopes.delete(scope);
      if (scopes.size === 0) shelves.delete(resource);
    }
    const body = this.encoding.traceRequest(shelves);
    this.begin();
    return { body, spans };
  }

  private begin(): void {
    for (const scopes of this.shelves.values()) {
      for (const writer of scopes.values()) {
        writer.at = 0;
        if (this.spare.length < mostSpare && writer.bytes.length <= mostSpareBytes) this.spare.push(writer);
      }
    }
    this.shelves = new Map();
    this.resource = undefined;
    this.scope = undefined;
    this.writer = undefined;
    this.counted = 0;
    this.size = 0;
  }

  private writerOf(resource: Resource, scope: InstrumentationScope): ByteWriter {
    if (this.writer !== undefined && resource === this.resource && scope === this.scope) return this.writer;
    let scopes = this.shelves.get(resource);
    if (scopes === undefined) {
      scopes = new Map();
      this.shelves.set(resource, scopes);
    }
    let writer = scopes.get(scope);
    if (writer === undefined) {
      writer = this.spare.pop() ?? new ByteWriter();
      scopes.set(scope, writer);
    }
    this.resource = resource;
    this.scope = scope;
    this.writer = writer;
    return writer;
  }
}
