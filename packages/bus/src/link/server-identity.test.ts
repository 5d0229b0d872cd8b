import { expect, it } from 'vitest';
import { readServerIdentity } from './server-identity.ts';

const SERVER = '# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n';
const REPLICATION = '# Replication\r\nmaster_replid:def\r\nmaster_replid2:000\r\n';

it('joins what names the run and what names the data', () => {
  expect(readServerIdentity(SERVER, REPLICATION)).toBe('abc:def');
  expect(readServerIdentity(SERVER, '')).toBe('abc:');
});

it('is none when INFO shows neither', () => {
  expect(readServerIdentity('# Server\r\n', '')).toBeUndefined();
});
