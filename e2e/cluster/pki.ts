// All keys and certificates of one cluster, as files that its daemons read and as kubeconfigs for its clients.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertRequest, createAuthority, createSigningKeys, issueCert, type KeyAndCert } from './certs.ts';
import { type Identity, writeKubeconfig } from './kube.ts';

const AUTHORITY = 'quintet-cluster';

export interface Pki {
  /** Path of a file in the folder of keys, e.g. `ca.crt`, `apiserver.key`, `sa.pub`. */
  path: (file: string) => string;
  /** Issues `name`.crt and `name`.key unless they exist. */
  issue: (name: string, request: CertRequest) => void;
  /** What a client needs to be the user of `name`.crt. */
  identity: (name: string, server: string) => Identity;
  /** Issues a client certificate and writes its kubeconfig; returns the path. */
  kubeconfig: (name: string, server: string, request: CertRequest) => string;
}

/** Opens the keys of the cluster in `dir`, made on first use. */
export function openPki(dir: string): Pki {
  const folder = join(dir, 'pki');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = (file: string) => join(folder, file);
  const read = (file: string) => readFileSync(path(file), 'utf8');
  const write = (name: string, pair: KeyAndCert) => {
    writeFileSync(path(`${name}.key`), pair.key, { mode: 0o600 });
    writeFileSync(path(`${name}.crt`), pair.cert, { mode: 0o600 });
  };
  if (!existsSync(path('ca.crt'))) {
    const signing = createSigningKeys();
    writeFileSync(path('sa.key'), signing.privateKey, { mode: 0o600 });
    writeFileSync(path('sa.pub'), signing.publicKey, { mode: 0o600 });
    write('ca', createAuthority(AUTHORITY));
  }
  const authority = { key: read('ca.key'), cert: read('ca.crt') };
  const issue = (name: string, request: CertRequest) => {
    if (!existsSync(path(`${name}.crt`))) write(name, issueCert(authority, AUTHORITY, request));
  };
  const identity = (name: string, server: string) => ({
    server,
    ca: authority.cert,
    cert: read(`${name}.crt`),
    key: read(`${name}.key`),
  });
  return {
    path,
    issue,
    identity,
    kubeconfig(name, server, request) {
      issue(name, request);
      const file = join(dir, `${name}.kubeconfig`);
      writeKubeconfig(file, name, identity(name, server));
      return file;
    },
  };
}
