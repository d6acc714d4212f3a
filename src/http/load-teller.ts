import { aboutOption } from '../core/in-name-of.js';
import { checkChoice } from '../core/options.js';
import type { ServerLoad } from '../core/outcome.js';
import { formatLoad, loadHeader } from './load-header.js';
import { formatOrca, type OrcaFormat, orcaHeader, orcaOf } from './orca.js';
import { encodeOrca } from './orca-message.js';

/**
 * Who is told how loaded a server is: peers that it trusts, everybody, nobody. It is no news for the internet, where it
 * tells an attacker how well he does.
 */
export type ReportLoad = 'trusted' | 'always' | false;

/** In which forms: by our own header, and as ORCA, which gRPC and Envoy know. */
export type LoadFormat = 'keelson' | 'orca';

/** Options of servers that tell their load. */
export interface ReportLoadOptions {
  /**
   * Who is told by each answer how loaded this process is, so that balancers can choose and clients hold back: `'trusted'`
   * for peers that `trust` believes, `'always'` for everybody, `false` for nobody.
   *
   * @defaultValue `'trusted'`
   */
  readonly reportLoad?: ReportLoad | undefined;
  /**
   * In which forms it is told: `'keelson'` for `x-keelson-load`, which clients of keelson read, `'orca'` for
   * `endpoint-load-metrics`, in trailers of gRPC `endpoint-load-metrics-bin`, which gRPC and Envoy read. Who asks for the
   * latter by the request header `endpoint-load-metrics-format` gets it anyway. Each costs some 60 bytes an answer. No
   * effect with `reportLoad: false`.
   *
   * @defaultValue `['keelson']`
   */
  readonly loadFormats?: readonly LoadFormat[] | undefined;
}

/** Defaults of {@link ReportLoadOptions}. */
export const reportLoadDefaults = { reportLoad: 'trusted', loadFormats: ['keelson'] } as const;

/** Tells the load of this process now: the same object while it is the same. What it throws counts as nothing to tell. */
export type LoadSource = () => ServerLoad | undefined;

/** Header names and values. Without a value there is to be no header of that name: a handler may have copied a callee's. */
export type Pairs = readonly (readonly [name: string, value: string | undefined])[];

/** What a server tells of its load to whom it is not meant for. */
export const untold: Pairs = [[loadHeader, undefined]];

/** What is to be sent, as a record. */
export function sentOf(pairs: Pairs): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const [name, value] of pairs) if (value !== undefined) sent[name] = value;
  return sent;
}

/** What is written of one load, made when it is first asked for. */
class Written {
  private readonly pairs = new Map<OrcaFormat | undefined, Pairs>();
  private bytes: Buffer | undefined = undefined;

  constructor(
    readonly load: ServerLoad,
    private readonly own: boolean,
  ) {}

  as(format: OrcaFormat | undefined): Pairs {
    let pairs = this.pairs.get(format);
    if (pairs === undefined) {
      const text = this.own ? formatLoad(this.load) : '';
      // Empty is that of a load of which nothing is known.
      const made: Pairs[number][] = [[loadHeader, text === '' ? undefined : text]];
      if (format !== undefined) made.push([orcaHeader, formatOrca(orcaOf(this.load), format)]);
      pairs = made;
      this.pairs.set(format, pairs);
    }
    return pairs;
  }
  get binary(): Buffer {
    this.bytes ??= encodeOrca(orcaOf(this.load));
    return this.bytes;
  }
}

/** Writes what one server tells of its load. As long as that is the same, so are the texts. */
export class LoadTeller {
  private readonly always: boolean;
  private readonly own: boolean;
  private readonly orca: boolean;
  private readonly asked = new Map<OrcaFormat | undefined, () => Pairs>();
  private latest: Written | undefined;

  constructor(
    private readonly source: LoadSource,
    { reportLoad, loadFormats }: Required<ReportLoadOptions>,
  ) {
    this.always = reportLoad === 'always';
    this.own = loadFormats?.includes('keelson') === true;
    this.orca = loadFormats?.includes('orca') === true;
  }

  /** Whether a peer is told. */
  tells(trusted: boolean): boolean {
    return trusted || this.always;
  }

  /**
   * What gives the headers of an answer when it is written; the same function each time.
   *
   * @param asked - the format of ORCA that the request asks for
   */
  headers(asked: OrcaFormat | undefined): () => Pairs {
    let known = this.asked.get(asked);
    if (known === undefined) {
      const format = asked ?? (this.orca ? 'text' : undefined);
      known = () => this.write()?.as(format) ?? untold;
      this.asked.set(asked, known);
    }
    return known;
  }

  /** The text of our own header; `undefined` for none. */
  text(): string | undefined {
    return this.own ? this.write()?.as(undefined)[0]?.[1] : undefined;
  }

  /** The trailer of gRPC for ORCA; `undefined` for none. @param asked - whether the request asks for it */
  binary(asked: boolean): Buffer | undefined {
    return asked || this.orca ? this.write()?.binary : undefined;
  }

  private write(): Written | undefined {
    try {
      const load = this.source();
      if (load === undefined) return undefined;
      if (this.latest?.load !== load) this.latest = new Written(load, this.own);
      return this.latest;
    } catch {
      return undefined;
    }
  }
}

/**
 * Makes the teller of one server.
 *
 * @param owner - for messages: `listener`
 * @returns `undefined` if nobody is told, or there is nothing to tell
 * @throws TypeError or RangeError for options that cannot be understood
 */
export function loadTeller(
  owner: string,
  {
    reportLoad = reportLoadDefaults.reportLoad,
    loadFormats = reportLoadDefaults.loadFormats,
  }: ReportLoadOptions,
  source: LoadSource | undefined,
): LoadTeller | undefined {
  if (reportLoad !== false && reportLoad !== 'trusted' && reportLoad !== 'always')
    throw aboutOption(
      new RangeError(
        `${owner}.reportLoad must be "trusted", "always" or false, got ${typeof reportLoad === 'string' ? JSON.stringify(reportLoad) : String(reportLoad)}`,
      ),
    );
  if (!Array.isArray(loadFormats))
    throw aboutOption(new TypeError(`${owner}.loadFormats must be a list, got ${String(loadFormats)}`));
  for (const format of loadFormats as readonly LoadFormat[])
    checkChoice(`${owner}.loadFormats`, format, ['keelson', 'orca']);
  if (source !== undefined && typeof source !== 'function')
    throw aboutOption(new TypeError(`${owner}.load must be a function, got ${String(source)}`));
  if (source === undefined || reportLoad === false) return undefined;
  return new LoadTeller(source, { reportLoad, loadFormats });
}
