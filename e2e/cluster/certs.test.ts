import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createAuthority, issueCert } from './certs.ts';

describe('certificates', () => {
  const authority = createAuthority('test-ca');
  const root = new X509Certificate(authority.cert);

  test('the authority signs itself and may sign others', () => {
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.subject).toBe('CN=test-ca');
  });

  test("a server's certificate holds for its names and addresses and no others", () => {
    const request = { commonName: 'server', names: ['localhost', '127.0.0.1', 'kubernetes.default.svc'] };
    const cert = new X509Certificate(issueCert(authority, 'test-ca', request).cert);
    expect(cert.ca).toBe(false);
    expect(cert.checkIssued(root)).toBe(true);
    expect(cert.verify(root.publicKey)).toBe(true);
    expect(cert.checkHost('kubernetes.default.svc')).toBe('kubernetes.default.svc');
    expect(cert.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(cert.checkHost('elsewhere')).toBeUndefined();
    expect(cert.checkIP('127.0.0.2')).toBeUndefined();
  });

  test("a client's certificate names its user and groups, is for clients alone, and fits its key", () => {
    const request = { commonName: 'system:node:a', organizations: ['system:nodes', 'others'] };
    const issued = issueCert(authority, 'test-ca', request);
    const cert = new X509Certificate(issued.cert);
    expect(cert.subject.split('\n')).toEqual(['O=system:nodes', 'O=others', 'CN=system:node:a']);
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(cert.subjectAltName).toBeUndefined();
    expect(cert.checkPrivateKey(createPrivateKey(issued.key))).toBe(true);
  });

  test('a long subject keeps its length', () => {
    const commonName = 'n'.repeat(60);
    const organizations = Array.from({ length: 8 }, (_, index) => `${index}${'g'.repeat(50)}`);
    const cert = new X509Certificate(issueCert(authority, 'test-ca', { commonName, organizations }).cert);
    expect(cert.subject.split('\n')).toHaveLength(9);
    expect(cert.verify(root.publicKey)).toBe(true);
  });

  test('serial numbers differ and time of validity spans now', () => {
    const certs = [1, 2].map(() => new X509Certificate(issueCert(authority, 'test-ca', { commonName: 'a' }).cert));
    expect(new Set(certs.map(({ serialNumber }) => serialNumber)).size).toBe(2);
    for (const { validFromDate, validToDate } of certs) {
      expect(validFromDate.getTime()).toBeLessThan(Date.now());
      expect(validToDate.getTime()).toBeGreaterThan(Date.now() + 300 * 86_400_000);
    }
  });
});
