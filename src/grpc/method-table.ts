/** What of a method matters to a call of it. */
export interface Method {
  /** Whether the caller may send several messages. */
  readonly requestStream: boolean;
  /** Whether the callee may. */
  readonly responseStream: boolean;
  /** Whether its definition says that sending it twice does no more than once. */
  readonly idempotent: boolean;
}

/** A method as generated code describes it: of grpc-js, proto-loader, nice-grpc or ts-proto. */
export interface MethodLike {
  /** `/helloworld.Greeter/SayHello`; ts-proto's generic definitions have a name instead. */
  readonly path?: string | undefined;
  /** `SayHello` */
  readonly name?: string | undefined;
  /** Whether the caller may send several messages. */
  readonly requestStream: boolean;
  /** Whether the callee may. */
  readonly responseStream: boolean;
  /** Options of the method in its proto file. */
  readonly options?: object | undefined;
}

/** A service as generated code describes it: a record of methods, or one with a name of its own. */
export type ServiceLike =
  | { readonly [name: string]: MethodLike }
  | { readonly fullName: string; readonly methods: { readonly [name: string]: MethodLike } };

/** google.protobuf.MethodOptions.IdempotencyLevel, by name and by number. */
const harmless: ReadonlySet<unknown> = new Set(['NO_SIDE_EFFECTS', 'IDEMPOTENT', 1, 2]);

function saysIdempotent(options: object | undefined): boolean {
  const { idempotency_level: written, idempotencyLevel: level } = (options ?? {}) as Record<string, unknown>;
  return harmless.has(written) || harmless.has(level);
}

function isNamed(service: ServiceLike): service is Extract<ServiceLike, { readonly fullName: string }> {
  return typeof service.fullName === 'string';
}

/**
 * Methods by path.
 *
 * @throws TypeError for what describes no service
 */
export function methodTable(services: readonly ServiceLike[]): ReadonlyMap<string, Method> {
  const table = new Map<string, Method>();
  for (const service of services) {
    if (typeof service !== 'object' || service === null)
      throw new TypeError(
        `governedChannel.services must hold definitions of services, got ${String(service)}`,
      );
    const methods = isNamed(service) ? service.methods : service;
    for (const { path, name, requestStream, responseStream, options } of Object.values(methods)) {
      const known = path ?? `/${String(service.fullName)}/${name}`;
      const idempotent = saysIdempotent(options);
      table.set(known, {
        requestStream: requestStream === true,
        responseStream: responseStream === true,
        idempotent,
      });
    }
  }
  return table;
}
