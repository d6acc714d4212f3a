import {
  type CallInvocationTransformer,
  type CallProperties,
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  credentials,
} from '@grpc/grpc-js';
import { inNameOf } from '../core/in-name-of.js';
import { wrongKind } from '../core/options.js';
import { type ClientSource, type GovernedChannelOptions, governedChannel } from './governed-channel.js';
import type { ServiceLike } from './method-table.js';

/** A client's class as code generators make it, and `loadPackageDefinition`. */
export interface ClientClass {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): Client;
  /** The definition of its service; those of grpc-tools have it beside the class. */
  readonly service?: ServiceLike;
}

/** Options of {@link governedClient}: those of {@link governedChannel}, and those of the native client. */
export interface GovernedClientOptions extends GovernedChannelOptions {
  /** Logical name of the service that is called. */
  readonly service: string;
  /**
   * Options of the native client: interceptors.
   *
   * @defaultValue `undefined`
   */
  readonly client?:
    | Pick<ClientOptions, 'interceptors' | 'interceptor_providers' | 'callInvocationTransformer'>
    | undefined;
}

/** Defaults of {@link GovernedClientOptions}; the others are those of {@link GovernedChannelOptions}. */
export const governedClientDefaults = { client: undefined } as const;

function optionsOf(target: string | GovernedClientOptions, count: number): GovernedClientOptions {
  if (count > 3)
    throw new TypeError(
      "governedClient takes three arguments; options go with the name: { service: 'users', idempotent: … }",
    );
  if (typeof target === 'string') return { service: target };
  if (typeof target !== 'object' || target === null)
    throw wrongKind(
      'governedClient: the third argument',
      'the name of a service, or options with it',
      target,
    );
  return target;
}

/** grpc-js does not take it for a cancel when a reader leaves a stream (`break` out of `for await`, `destroy`). */
function cancelWithReader(then: CallInvocationTransformer | undefined): CallInvocationTransformer {
  // biome-ignore lint/suspicious/noExplicitAny: the declared type of a transformer.
  return (properties: CallProperties<any, any>) => {
    const own = then === undefined ? properties : then(properties);
    const { call, methodDefinition } = own;
    if (methodDefinition.responseStream) {
      call.once('close', () => {
        // Whoever has left has no ear for how it ended, and an error that nobody hears would end the process.
        call.on('error', () => undefined);
        call.cancel();
      });
    }
    return own;
  };
}

/**
 * Makes a client of generated code whose calls are governed: the one line for who uses grpc-js directly. See
 * {@link governedChannel}, whose options it takes.
 *
 * What the class knows of its methods is used: kind and `idempotency_level`. `client.close()` ends the channel.
 *
 * @param target - the service, or options with its name
 * @throws TypeError or RangeError for options that are out of range; TypeError when the service can be found nowhere
 * @example
 * ```ts
 * const users = governedClient(app, UsersClient, { service: 'users', idempotent: ['GetUser'] });
 * users.getUser({ id: 42 }, (error, user) => console.log(user));
 * ```
 */
export function governedClient<Class extends ClientClass>(
  app: ClientSource,
  Class: Class,
  target: string | GovernedClientOptions,
): InstanceType<Class> {
  if (typeof Class !== 'function') throw wrongKind('governedClient: the client', 'a class', Class);
  // biome-ignore lint/complexity/noArguments: what is one too many must not be dropped without a word
  const { service, client, ...channelOptions } = optionsOf(target, arguments.length);
  const services = [
    ...(Class.service === undefined ? [] : [Class.service]),
    ...(channelOptions.services ?? []),
  ];
  const channel = inNameOf({ governedChannel: 'governedClient' }, () =>
    governedChannel(app, service, { ...channelOptions, services }),
  );
  return new Class(channel.getTarget(), credentials.createInsecure(), {
    ...client,
    callInvocationTransformer: cancelWithReader(client?.callInvocationTransformer),
    channelOverride: channel,
  }) as InstanceType<Class>;
}
