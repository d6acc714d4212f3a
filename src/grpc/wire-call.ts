import type { Channel, ChannelInterface } from '@grpc/grpc-js';

/** A call as grpc-js' clients drive it; the library does not export the name. */
export type WireCall = ReturnType<ChannelInterface['createCall']>;

/** What goes with a message that is sent: whom to tell when it was taken, and how to write it. */
export type MessageContext = Parameters<WireCall['sendMessageWithContext']>[0];

/** Credentials of one call. */
export type CallCredentials = Parameters<WireCall['setCredentials']>[0];

/** Who has proved to be at the other end of a call; `null` while that is not known. Told by grpc-js since 1.13. */
export type AuthContext = ReturnType<WireCall[keyof WireCall & 'getAuthContext']>;

/** The inbound call that an outgoing one is made for, as grpc-js hands it over. */
export type ParentCall = NonNullable<Parameters<Channel['createCall']>[3]>;
