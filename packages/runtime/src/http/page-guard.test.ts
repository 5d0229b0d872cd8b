import { describe, expect, it } from 'vitest';
import { pageFault } from './page-guard.ts';

describe('pageFault', () => {
  it.each([
    'localhost',
    'localhost:9080',
    'LOCALHOST:9080',
    '127.0.0.1',
    '127.0.0.1:9080',
    '127.8.8.8:9080',
    '[::1]',
    '[::1]:9080',
  ])('answers the name %s', (host) => {
    expect(pageFault({ headers: { host } })).toBeUndefined();
  });

  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:9080',
    'localhost.evil.example:9080',
    'evil.example.localhost:9080',
    '127.0.0.1.evil.example',
    'localhost:9080@evil.example',
    'localhost, evil.example',
    '10.0.0.5:9080',
    '[::2]:9080',
    '::1',
    '0.0.0.0:9080',
    'localhost:',
  ])('refuses the name %s', (host) => {
    const headers = host === undefined ? {} : { host };
    expect(pageFault({ headers })).toMatchObject({ status: 421, code: 'host_not_allowed' });
  });

  it.each([
    { origin: 'https://evil.example' },
    { origin: 'http://localhost:3000' },
    { origin: 'https://localhost:9080' },
    { origin: 'http://127.0.0.1:9080' },
    { origin: 'null' },
    { origin: '' },
    { origin: 'http://localhost:9080, http://localhost:9080' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'none, cross-site' },
    { origin: 'http://localhost:9080', 'sec-fetch-site': 'cross-site' },
  ])('refuses %j on localhost:9080', (headers) => {
    const fault = pageFault({ headers: { host: 'localhost:9080', ...headers } });
    expect(fault).toMatchObject({ status: 403, code: 'origin_not_allowed' });
  });

  it.each([
    { origin: 'http://localhost:9080' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:9080' },
    { 'sec-fetch-site': 'same-site' },
  ])('answers %j on localhost:9080', (headers) => {
    expect(pageFault({ headers: { host: 'localhost:9080', ...headers } })).toBeUndefined();
  });
});
