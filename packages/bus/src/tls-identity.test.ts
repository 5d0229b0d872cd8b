import type { PeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { checkIdentityByAddress } from './tls-identity.ts';

function certificate(commonName: string, subjectaltname?: string): PeerCertificate {
  return { subject: { CN: commonName }, subjectaltname } as PeerCertificate;
}

describe('checkIdentityByAddress', () => {
  it.each([
    ['10.1.2.3', certificate('10.1.2.3')],
    ['10.1.2.3', certificate('redis', 'IP Address:10.1.2.3')],
    ['redis.example', certificate('redis.example')],
    ['redis.example', certificate('x', 'DNS:redis.example')],
  ])('accepts %s', (host, presented) => {
    expect(checkIdentityByAddress(host, presented)).toBeUndefined();
  });

  it.each([
    ['10.1.2.3', certificate('10.1.2.4')],
    ['10.1.2.3', certificate('redis.example')],
    ['10.1.2.3', { subject: {} } as PeerCertificate],
    ['redis.example', certificate('10.1.2.3')],
    ['redis.example', certificate('redis.example', 'DNS:other.example')],
  ])('refuses %s', (host, presented) => {
    expect(checkIdentityByAddress(host, presented)).toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });
});
