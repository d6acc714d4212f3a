import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Paths of a certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority of a test's own, in a folder of its own. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'keelson-authority-'));
  /** Path of its certificate. */
  readonly ca = join(this.folder, 'ca.pem');
  private readonly key = join(this.folder, 'ca-key.pem');

  constructor(name = 'authority') {
    const what = ['-days', '2', '-subj', `/CN=${name}`];
    this.openssl('req', '-x509', ...curve, '-keyout', this.key, '-out', this.ca, ...what);
  }

  /**
   * Makes a certificate for this machine's loopback.
   *
   * @param subject - as openssl takes it; `/` for none
   */
  issue(name: string, subject = `/O=Example/CN=${name}`): CertificateFiles {
    const [cert, key, request, extensions] = ['cert.pem', 'key.pem', 'csr', 'ext'].map((end) =>
      join(this.folder, `${name}-${end}`),
    ) as [string, string, string, string];
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    this.openssl('req', '-new', ...curve, '-keyout', key, '-out', request, '-subj', subject);
    const by = ['-CA', this.ca, '-CAkey', this.key, '-CAcreateserial', '-extfile', extensions, '-days', '2'];
    this.openssl('x509', '-req', '-in', request, '-out', cert, ...by);
    return { cert, key };
  }

  /** Puts one certificate in the place of another, as whoever renews them does. */
  replace(old: CertificateFiles, by: CertificateFiles): void {
    copyFileSync(by.key, old.key);
    copyFileSync(by.cert, old.cert);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private openssl(...args: readonly string[]): void {
    execFileSync('openssl', [...args], { stdio: ['ignore', 'ignore', 'ignore'] });
  }
}
