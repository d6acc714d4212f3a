import { create, createFileRegistry } from '@bufbuild/protobuf';
import {
  FileDescriptorSetSchema,
  file_google_protobuf_wrappers,
  MethodOptions_IdempotencyLevel as Level,
} from '@bufbuild/protobuf/wkt';

const text = '.google.protobuf.StringValue';

/** As a code generator would have made it. */
const files = create(FileDescriptorSetSchema, {
  file: [
    file_google_protobuf_wrappers.proto,
    {
      name: 'bench/users.proto',
      package: 'bench',
      syntax: 'proto3',
      dependency: ['google/protobuf/wrappers.proto'],
      service: [
        {
          name: 'Users',
          method: [
            {
              name: 'Get',
              inputType: text,
              outputType: text,
              options: { idempotencyLevel: Level.IDEMPOTENT },
            },
          ],
        },
      ],
    },
  ],
});

/** @type {any} its type is made by code generators */
const service = createFileRegistry(files).getService('bench.Users');

/** @type {import('@bufbuild/protobuf/codegenv2').GenService<{ get: { methodKind: 'unary', input: typeof import('@bufbuild/protobuf/wkt').StringValueSchema, output: typeof import('@bufbuild/protobuf/wkt').StringValueSchema } }>} */
export const Users = service;

/** @param {import('@connectrpc/connect').ConnectRouter} router */
export const usersRoutes = (router) => router.service(Users, { get: ({ value }) => ({ value }) });
