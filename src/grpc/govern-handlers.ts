import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { wrongKind } from '../core/options.js';
import { type Callback, Handling, type Run, type SurfaceCall } from './handling.js';

/** Of a service without types, as `loadPackageDefinition` of grpc-js makes it, nothing is known of messages. */
// biome-ignore lint/suspicious/noExplicitAny: as grpc-js has it, or no parameter of such a handler would have a type
export type UntypedHandler = (call: any, callback: any) => unknown;

/** A handler in the style of grpc-js, or async: then one that has a single answer returns it. */
export type GovernedHandler<Handle> = [UntypedHandleCall] extends [Handle]
  ? UntypedHandler
  : Handle extends handleUnaryCall<infer Req, infer Res>
    ? (...given: Parameters<handleUnaryCall<Req, Res>>) => Promise<Res | void> | void
    : Handle extends handleClientStreamingCall<infer Req, infer Res>
      ? (...given: Parameters<handleClientStreamingCall<Req, Res>>) => Promise<Res | void> | void
      : Handle extends handleServerStreamingCall<infer Req, infer Res>
        ? (...given: Parameters<handleServerStreamingCall<Req, Res>>) => Promise<void> | void
        : Handle extends handleBidiStreamingCall<infer Req, infer Res>
          ? (...given: Parameters<handleBidiStreamingCall<Req, Res>>) => Promise<void> | void
          : UntypedHandler;

/** The handlers of a service. */
export type GovernedHandlers<Service> = {
  readonly [Method in keyof Service]: GovernedHandler<Service[Method]>;
};

/** Every method of an object or of an instance of a class. */
function methodsOf(handlers: object): Map<string, (...args: never) => unknown> {
  const methods = new Map<string, (...args: never) => unknown>();
  for (let at = handlers; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const method: unknown = (handlers as Record<string, unknown>)[name];
      if (name !== 'constructor' && typeof method === 'function' && !methods.has(name))
        methods.set(name, method.bind(handlers));
    }
  }
  return methods;
}

/**
 * Gives every error of a service's handlers its status, and lets handlers be async.
 *
 * What a handler throws, rejects with, gives to its callback or emits as `error` on its stream is answered thus: a refusal
 * of keelson with the status of the refusal; an error with a status under `code`, such as another server's, as it is;
 * anything else with UNKNOWN and without details, and it is told as a fault. So is a stream that is destroyed before its
 * end. An async handler of a single answer returns it, `{}` if it is empty; one of a stream ends the stream itself, also
 * after a `for await` over it, which does not destroy it here. On a server without {@link governServer} faults are told
 * nobody.
 *
 * @param handlers - methods by name, or an instance of a class
 * @example
 * ```ts
 * server.addService(Users.service, governHandlers({ get: async ({ request }) => users.find(request.id) }));
 * ```
 */
export function governHandlers<Service extends UntypedServiceImplementation>(
  handlers: GovernedHandlers<Service>,
): Service;
/** The same of an instance of any class. */
export function governHandlers(handlers: object): UntypedServiceImplementation;
export function governHandlers(handlers: object): UntypedServiceImplementation {
  if (typeof handlers !== 'object' || handlers === null)
    throw wrongKind('governHandlers: the first argument', 'an object of handlers', handlers);
  const governed: UntypedServiceImplementation = {};
  for (const [name, method] of methodsOf(handlers)) {
    const handle = (call: SurfaceCall, callback?: Callback): void =>
      new Handling(call, callback).run(method as Run);
    governed[name] = handle as UntypedHandleCall;
  }
  return governed;
}
