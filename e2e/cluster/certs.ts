// X.509 certificates for a cluster of one's own: a certificate authority and what it signs, by Node's own crypto,
// so that no openssl needs to be there. DER by X.690, the fields by RFC 5280, signatures ECDSA P-256 with SHA-256.
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface KeyAndCert {
  /** PEM */
  key: string;
  /** PEM */
  cert: string;
}

export interface CertRequest {
  commonName: string;
  /** Groups, as Kubernetes reads them. */
  organizations?: string[];
  /** DNS names and IPv4 addresses; without any the certificate is for clients only. */
  names?: string[];
}

const VALID_DAYS = 365;

export function createAuthority(commonName: string): KeyAndCert {
  const { key, publicKey } = keyPair();
  const subject = distinguishedName({ commonName });
  const extensions = [
    extension('2.5.29.19', true, sequence(boolean(true))),
    // keyCertSign, cRLSign, digitalSignature
    extension('2.5.29.15', true, bitString(Buffer.from([0x86]), 1)),
  ];
  return { key: toPem(key), cert: certificate(subject, subject, publicKey, extensions, key) };
}

export function issueCert(authority: KeyAndCert, authorityName: string, request: CertRequest): KeyAndCert {
  const { key, publicKey } = keyPair();
  const purposes = [objectId('1.3.6.1.5.5.7.3.2')];
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    // digitalSignature
    extension('2.5.29.15', true, bitString(Buffer.from([0x80]), 7)),
  ];
  if (request.names?.length) {
    purposes.push(objectId('1.3.6.1.5.5.7.3.1'));
    extensions.push(extension('2.5.29.17', false, sequence(...request.names.map(alternativeName))));
  }
  extensions.push(extension('2.5.29.37', false, sequence(...purposes)));
  const issuer = distinguishedName({ commonName: authorityName });
  const signer = createPrivateKey(authority.key);
  return { key: toPem(key), cert: certificate(issuer, distinguishedName(request), publicKey, extensions, signer) };
}

/** A key pair for service account tokens, PEM. */
export function createSigningKeys(): { privateKey: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey: toPem(privateKey), publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

function keyPair(): { key: KeyObject; publicKey: Buffer } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { key: pair.privateKey, publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }) };
}

function toPem(key: KeyObject): string {
  // client-go reads EC keys only in the form of RFC 5915 or PKCS #8; the latter is understood everywhere.
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function certificate(issuer: Buffer, subject: Buffer, publicKey: Buffer, extensions: Buffer[], signer: KeyObject) {
  const algorithm = sequence(objectId('1.2.840.10045.4.3.2'));
  const serial = randomBytes(16);
  // Positive and without leading zero, as DER wants an integer.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const now = Date.now();
  const validity = sequence(time(now - 3_600_000), time(now + VALID_DAYS * 86_400_000));
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    algorithm,
    issuer,
    validity,
    subject,
    publicKey,
    tagged(0xa3, sequence(...extensions)),
  );
  const der = sequence(body, algorithm, bitString(sign('sha256', body, signer), 0));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName({ commonName, organizations = [] }: CertRequest): Buffer {
  const attribute = (id: string, value: string) =>
    tagged(0x31, sequence(objectId(id), tagged(0x0c, Buffer.from(value, 'utf8'))));
  return sequence(...organizations.map((name) => attribute('2.5.4.10', name)), attribute('2.5.4.3', commonName));
}

function alternativeName(name: string): Buffer {
  return isIPv4(name) ? tagged(0x87, Buffer.from(name.split('.').map(Number))) : tagged(0x82, Buffer.from(name));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return tagged(0x17, Buffer.from(`${digits.slice(2)}Z`));
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const base128 = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) base128.unshift((left & 0x7f) | 0x80);
    bytes.push(...base128);
  }
  return tagged(0x06, Buffer.from(bytes));
}

function bitString(bytes: Buffer, unusedBits: number): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes: number[] = [];
  for (let left = length; left > 0; left >>>= 8) bytes.unshift(left & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length, ...bytes]), content]);
}
