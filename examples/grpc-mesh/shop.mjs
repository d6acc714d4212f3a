// What generated code would be.
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const definition = loadSync(fileURLToPath(new URL('shop.proto', import.meta.url)));
export const shop = /** @type {any} */ (grpc.loadPackageDefinition(definition)['shop']);
