// What generated code would be: here read from the proto file at run time.
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';

const proto = loadSync(fileURLToPath(new URL('greeter.proto', import.meta.url)));
export const GreeterDefinition = /** @type {any} */ (proto['hello.Greeter']);
