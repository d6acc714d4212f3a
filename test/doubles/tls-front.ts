import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';

/** TLS before a port that has none. */
export interface TlsFront {
  readonly port: number;
  /** Its certificate, for the name `registry.test`; it is its own authority, and that of clients. */
  readonly cert: string;
  readonly key: string;
  stop(): Promise<void>;
}

function certificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const name = ['-subj', '/CN=registry.test', '-addext', 'subjectAltName=DNS:registry.test'];
  try {
    const args = ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...name];
    execFileSync('openssl', args, { stdio: 'ignore' });
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts one that takes only clients which show its own certificate. */
export async function tlsFront(behind: number): Promise<TlsFront> {
  const { cert, key } = certificate();
  const sockets = new Set<net.Socket>();
  const options = { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true };
  const server = tls.createServer(options, (near) => {
    const far = net.connect(behind, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cert,
    key,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
