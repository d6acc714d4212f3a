// A gRPC service of two methods, whose messages are JSON: no proto file is needed, and all sides pay the same for them.

/** @typedef {{ readonly id?: string | undefined, readonly name?: string | undefined }} User */

/** @param {User} message */
const write = (message) => Buffer.from(JSON.stringify(message));
/** @param {Buffer} bytes @returns {User} */
const read = (bytes) => JSON.parse(bytes.toString());

/** @param {string} name */
const method = (name) => ({
  path: `/bench.Users/${name}`,
  requestStream: /** @type {const} */ (false),
  responseStream: /** @type {const} */ (false),
  requestSerialize: write,
  requestDeserialize: read,
  responseSerialize: write,
  responseDeserialize: read,
});

/** `Get` may be sent twice, `Add` may not. */
export const usersService = { Get: method('Get'), Add: method('Add') };
