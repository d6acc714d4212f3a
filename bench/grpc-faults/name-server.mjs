// As much of a DNS server as grpc-js asks of one: a name with several A records.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const headerBytes = 12;
const typeA = 1;

/** @param {Buffer} query @returns {number} where the first question ends */
function questionEnd(query) {
  let at = headerBytes;
  while (query[at]) at += 1 + /** @type {number} */ (query[at]);
  return at + 5;
}

/** @param {Buffer} query @param {readonly string[]} addresses */
function answerTo(query, addresses) {
  const end = questionEnd(query);
  const asked = query.readUInt16BE(end - 4);
  const records = (asked === typeA ? addresses : []).map((address) =>
    // The name of the question, A, IN, 1 s, 4 bytes.
    Buffer.from([0xc0, headerBytes, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)]),
  );
  const head = Buffer.alloc(headerBytes);
  query.copy(head, 0, 0, 2);
  // An answer, with authority, recursion as asked for; one question, so many records.
  head.writeUInt16BE(0x8580, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, query.subarray(headerBytes, end), ...records]);
}

/**
 * Answers every name with the same addresses.
 *
 * @param {readonly string[]} addresses
 * @returns {Promise<{ readonly port: number, close(): void }>}
 */
export async function nameServer(addresses) {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => socket.send(answerTo(query, addresses), port, address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, close: () => void socket.close() };
}
