import type http from 'node:http';

/** Reads a whole body as text. A longer one than that is an error: it must not fill the memory. */
export function readText(response: http.IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else response.destroy(new Error(`reply of more than ${maxBytes} bytes`));
    });
    response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    response.on('error', reject);
    response.once('close', () => reject(new Error('connection closed within the reply')));
  });
}

/**
 * Reads a body that goes on for ever: one JSON value a line. Ends with the body; leaving the loop closes the
 * connection.
 *
 * @throws SyntaxError for a line that is not JSON, RangeError for one that is longer than that
 */
export async function* jsonLines(
  response: AsyncIterable<Buffer>,
  maxLineBytes: number,
): AsyncGenerator<unknown, void, undefined> {
  let begun: Buffer[] = [];
  let size = 0;
  const take = (piece: Buffer): void => {
    size += piece.length;
    if (size > maxLineBytes) throw new RangeError(`line of more than ${maxLineBytes} bytes`);
    if (piece.length > 0) begun.push(piece);
  };
  const line = (): string => {
    const text = Buffer.concat(begun).toString('utf8').trim();
    begun = [];
    size = 0;
    return text;
  };
  for await (const chunk of response) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      take(chunk.subarray(from, end));
      from = end + 1;
      const text = line();
      if (text !== '') yield JSON.parse(text);
    }
    take(chunk.subarray(from));
  }
  const last = line();
  if (last !== '') yield JSON.parse(last);
}
