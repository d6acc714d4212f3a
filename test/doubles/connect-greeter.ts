import { create, createFileRegistry } from '@bufbuild/protobuf';
import type { GenService } from '@bufbuild/protobuf/codegenv2';
import {
  FileDescriptorSetSchema,
  file_google_protobuf_wrappers,
  MethodOptions_IdempotencyLevel as Level,
  type StringValueSchema,
} from '@bufbuild/protobuf/wkt';

interface Of<Kind extends 'unary' | 'server_streaming' | 'client_streaming' | 'bidi_streaming'> {
  readonly methodKind: Kind;
  readonly input: typeof StringValueSchema;
  readonly output: typeof StringValueSchema;
}

/** A service with methods of each kind, two of which may be sent twice. */
type GreeterService = GenService<{
  say: Of<'unary'>;
  look: Of<'unary'>;
  collect: Of<'client_streaming'>;
  count: Of<'server_streaming'>;
  tail: Of<'server_streaming'>;
  chat: Of<'bidi_streaming'>;
}>;

const text = '.google.protobuf.StringValue';

const method = (name: string, streams: { in?: boolean; out?: boolean } = {}, idempotencyLevel = 0) => ({
  name,
  inputType: text,
  outputType: text,
  clientStreaming: streams.in ?? false,
  serverStreaming: streams.out ?? false,
  options: { idempotencyLevel },
});

/** As a code generator would have made it. */
const files = create(FileDescriptorSetSchema, {
  file: [
    file_google_protobuf_wrappers.proto,
    {
      name: 'test/greeter.proto',
      package: 'test',
      syntax: 'proto3',
      dependency: ['google/protobuf/wrappers.proto'],
      service: [
        {
          name: 'Greeter',
          method: [
            method('Say'),
            method('Look', {}, Level.NO_SIDE_EFFECTS),
            method('Collect', { in: true }),
            method('Count', { out: true }),
            method('Tail', { out: true }, Level.IDEMPOTENT),
            method('Chat', { in: true, out: true }),
          ],
        },
      ],
    },
  ],
});

export const Greeter = createFileRegistry(files).getService('test.Greeter') as unknown as GreeterService;
