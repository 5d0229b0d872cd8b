import { describe, expect, it } from 'vitest';
import { LEFT_SERVERS_KEPT } from '../redis-limits.ts';
import { LeftServers } from './left-servers.ts';

const [SERVER, OTHER] = ['10.0.0.1:6379', '10.0.0.2:6379'] as const;

describe('LeftServers', () => {
  it('leaves a server once for one answer', () => {
    const servers = new LeftServers(Number.POSITIVE_INFINITY);
    expect(servers.mayLeave(SERVER, 'READONLY', 0)).toBe(true);
    servers.left(SERVER, 'READONLY', 0);
    expect(servers.mayLeave(SERVER, 'READONLY', 1e9)).toBe(false);
    expect(servers.mayLeave(SERVER, 'NOREPLICAS', 0)).toBe(true);
    expect(servers.mayLeave(OTHER, 'READONLY', 0)).toBe(true);
  });

  it('leaves it again when the state had ended, or after its time', () => {
    const servers = new LeftServers(1_000);
    servers.left(SERVER, 'READONLY', 0);
    expect(servers.mayLeave(SERVER, 'READONLY', 999)).toBe(false);
    expect(servers.mayLeave(SERVER, 'READONLY', 1_000)).toBe(true);
    servers.forget();
    expect(servers.mayLeave(SERVER, 'READONLY', 0)).toBe(true);
  });

  it('remembers a bounded number of servers', () => {
    const servers = new LeftServers(Number.POSITIVE_INFINITY);
    for (let i = 0; i <= LEFT_SERVERS_KEPT; i += 1) servers.left(`10.0.0.1:${i}`, 'READONLY', 0);
    expect(servers.mayLeave('10.0.0.1:0', 'READONLY', 0)).toBe(true);
    expect(servers.mayLeave('10.0.0.1:1', 'READONLY', 0)).toBe(false);
  });
});
