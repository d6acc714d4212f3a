import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Clock } from '../core/clock.js';
import { OtherAnswer, readSrvAnswer, type SrvAnswer, type SrvRecord, srvQuestion } from './dns-message.js';
import { within } from './within.js';

/** What {@link srvLookup} needs. */
export interface SrvLookupInit {
  /** In the platform's words: `10.0.0.2`, `[::1]:5353`. */
  readonly nameServers: () => readonly string[];
  readonly clock: Clock;
  readonly timeoutMs: number;
}

interface NameServer {
  readonly host: string;
  readonly port: number;
}

function nameServerOf(text: string): NameServer {
  if (isIPv6(text)) return { host: text, port: 53 };
  const [, six, four, port = '53'] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  return { host: six ?? four ?? text, port: Number(port) };
}

/** Sends a question and waits for what is an answer to it. */
function overUdp(
  { host, port }: NameServer,
  question: Buffer,
  read: Read,
  signal: AbortSignal,
): Promise<SrvAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', signal });
    socket.unref();
    socket.on('error', (error) => {
      reject(error);
      socket.close();
    });
    socket.on('message', (message) => {
      try {
        resolve(read(message));
      } catch (error) {
        if (error instanceof OtherAnswer) return;
        reject(error);
      }
      socket.close();
    });
    // Connected: only that address is listened to.
    socket.connect(port, host, () => socket.send(question));
  });
}

function overTcp(
  { host, port }: NameServer,
  question: Buffer,
  read: Read,
  signal: AbortSignal,
): Promise<SrvAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.unref();
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
    let heard = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      // At most what two bytes can tell.
      if (heard.length < 2 || heard.length < 2 + heard.readUInt16BE(0)) return;
      try {
        resolve(read(heard.subarray(2, 2 + heard.readUInt16BE(0))));
      } catch (error) {
        reject(error);
      }
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('connection closed before the answer')));
  });
}

type Read = (message: Buffer) => SrvAnswer;

/**
 * Asks for SRV records with their ttl, which Node does not tell: the first name server, once.
 *
 * @throws an error with code `ENOTFOUND` or `ENODATA` when there is none; any other error when it cannot be told
 */
export function srvLookup(init: SrvLookupInit): (name: string) => Promise<readonly SrvRecord[]> {
  const { clock, timeoutMs } = init;
  return async (name) => {
    const [first] = init.nameServers();
    if (first === undefined) throw new Error('there is no name server');
    const server = nameServerOf(first);
    const id = randomInt(0x10000);
    const question = srvQuestion(name, id);
    const read: Read = (message) => readSrvAnswer(message, { id, name });
    const answer = await within({ clock, timeoutMs }, async (signal) => {
      const told = await overUdp(server, question, read, signal);
      return told.truncated ? overTcp(server, question, read, signal) : told;
    });
    if (answer.records.length > 0) return answer.records;
    const code = answer.exists ? 'ENODATA' : 'ENOTFOUND';
    throw Object.assign(new Error(`querySrv ${code} ${name}`), { code });
  };
}
