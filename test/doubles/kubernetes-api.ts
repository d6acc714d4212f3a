import type http from 'node:http';
import { type Answer, type Asked, HttpDouble } from './http-double.js';

// The part of the API server of Kubernetes that serves EndpointSlices. Behaviours, each from "Kubernetes API Concepts"
// (efficient detection of changes, bookmarks, 410 Gone, retrieving large results in chunks) and the reference of
// discovery.k8s.io/v1:
//
// - GET /apis/discovery.k8s.io/v1/namespaces/<ns>/endpointslices with labelSelector=kubernetes.io/service-name=<name>:
//   a list with metadata.resourceVersion; with `limit` in pieces, metadata.continue leads to the next, all of them of one
//   version; a `continue` that is too old is 410
// - with watch=1 and resourceVersion: a stream of {type, object}, one a line, of all that was written after that version;
//   ADDED, MODIFIED, DELETED (with the last state and the version of the deletion), BOOKMARK (an object with nothing but
//   its version, if allowWatchBookmarks), ERROR with a Status; it ends after timeoutSeconds
// - a version that is too old is an ERROR event with a Status of code 410 and reason Expired, or 410 at once
// - a token that is unknown is 401, one without the right 403, each with a Status

export interface SliceObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Record<string, string>;
  };
  readonly addressType: string;
  readonly ports: readonly object[] | null;
  readonly endpoints: readonly object[] | null;
}

interface Written {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: SliceObject;
}

interface Watching {
  readonly response: http.ServerResponse;
  readonly query: URLSearchParams;
  readonly namespace: string;
}

export class KubernetesApiDouble extends HttpDouble {
  version = 100;
  /** Versions before this one are forgotten. */
  oldest = 0;
  /** Undefined to let everybody in. */
  token: string | undefined;
  /** Whether an old version is told by the status of the watch, rather than by an event. */
  goneAtOnce = false;
  /** Objects of one piece at most, whatever is asked for. */
  maxPiece = 500;
  readonly slices = new Map<string, SliceObject>();
  private readonly written: Written[] = [];
  readonly watching = new Set<Watching>();

  write(slice: SliceObject): void {
    const key = `${slice.metadata.namespace}/${slice.metadata.name}`;
    const type = this.slices.has(key) ? 'MODIFIED' : 'ADDED';
    this.slices.set(key, slice);
    this.record(type, slice);
  }

  remove(name: string, namespace = 'default'): void {
    const slice = this.slices.get(`${namespace}/${name}`);
    this.slices.delete(`${namespace}/${name}`);
    if (slice) this.record('DELETED', slice);
  }

  /** Versions before now are forgotten. */
  compact(): void {
    this.oldest = this.version;
  }

  /** Something else was written: a bookmark tells watchers how far they are. */
  bookmark(): void {
    this.version++;
    for (const { response } of this.watching)
      line(response, { type: 'BOOKMARK', object: { kind: 'EndpointSlice', metadata: this.meta() } });
  }

  /** Writes bytes into all watches. */
  scribble(text: string): void {
    for (const { response } of this.watching) response.write(text);
  }

  /** Ends all watches: as they should end, or torn. */
  end(how: 'ended' | 'torn'): void {
    for (const { response } of this.watching) {
      if (how === 'torn') response.destroy();
      else response.end();
    }
    this.watching.clear();
  }

  protected override answer(asked: Asked, response: http.ServerResponse): Answer | undefined {
    const { headers, path, query } = asked;
    if (this.token !== undefined && headers.authorization !== `Bearer ${this.token}`)
      return status(401, 'Unauthorized', 'Unauthorized');
    const [, namespace] =
      /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(path) ?? [];
    if (namespace === undefined)
      return status(404, 'NotFound', 'the server could not find the requested resource');
    if (query.get('watch') === '1') return this.watch({ response, query, namespace });
    return this.list(query, namespace);
  }

  private list(query: URLSearchParams, namespace: string): Answer {
    const [version = this.version, from = 0] = (query.get('continue') ?? '')
      .split(',')
      .filter(Boolean)
      .map(Number);
    if (version < this.oldest) return status(410, 'Expired', 'The provided continue parameter is too old');
    const all = [...this.slices.values()].filter((slice) => chosen(slice, query, namespace));
    const to = from + Math.min(this.maxPiece, Number(query.get('limit') ?? all.length));
    const next = to < all.length ? { continue: `${version},${to}` } : {};
    const metadata = { resourceVersion: String(version), ...next };
    return { body: JSON.stringify({ kind: 'EndpointSliceList', metadata, items: all.slice(from, to) }) };
  }

  private watch(watching: Watching): Answer | undefined {
    const { response, query, namespace } = watching;
    const since = Number(query.get('resourceVersion'));
    const gone = since < this.oldest;
    if (gone && this.goneAtOnce) return status(410, 'Expired', 'too old resource version');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (gone) {
      line(response, { type: 'ERROR', object: statusOf(410, 'Expired', 'too old resource version') });
      response.end();
      return undefined;
    }
    this.watching.add(watching);
    response.on('close', () => this.watching.delete(watching));
    for (const written of this.written)
      if (written.version > since && chosen(written.object, query, namespace)) this.tell(watching, written);
    return undefined;
  }

  private record(type: Written['type'], object: SliceObject): void {
    this.version++;
    const written = { version: this.version, type, object };
    this.written.push(written);
    for (const watching of this.watching)
      if (chosen(object, watching.query, watching.namespace)) this.tell(watching, written);
  }

  private tell({ response }: Watching, { version, type, object }: Written): void {
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    line(response, { type, object: { ...object, metadata } });
  }

  private meta(): object {
    return { resourceVersion: String(this.version) };
  }
}

function chosen(slice: SliceObject, query: URLSearchParams, namespace: string): boolean {
  const [label = '', value] = (query.get('labelSelector') ?? '').split('=');
  return slice.metadata.namespace === namespace && slice.metadata.labels[label] === value;
}

function line(response: http.ServerResponse, event: object): void {
  response.write(`${JSON.stringify(event)}\n`);
}

function statusOf(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code };
}

function status(code: number, reason: string, message: string): Answer {
  return { status: code, body: JSON.stringify(statusOf(code, reason, message)) };
}
