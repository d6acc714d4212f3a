import type { StreamRequest, Transport, UnaryRequest } from '@connectrpc/connect';

/** A method of one message and one answer, as generated code describes it. */
export type UnaryMethod = UnaryRequest['method'];

/** A method with a stream in at least one direction. */
export type StreamMethod = StreamRequest['method'];

/** Any method. */
export type RpcMethod = UnaryMethod | StreamMethod;

/** A message on its way out, whole or as far as its sender cares to say. */
export type Outbound = Parameters<Transport['unary']>[4];

/** `/users.v1.Users/Get` */
export function pathOf({ parent, name }: RpcMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** Whether the caller may send several messages. */
export function sendsStream({ methodKind }: RpcMethod): boolean {
  return methodKind === 'client_streaming' || methodKind === 'bidi_streaming';
}
