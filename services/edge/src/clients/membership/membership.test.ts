import { describe, expect, it } from 'vitest';
import { publicationOf } from '../testing/fake-upstream.ts';
import { createTestConnection, LIMITS } from '../testing/test-connection.ts';
import { Membership } from './membership.ts';

describe('Membership', () => {
  it('tells its listeners who joined and left which channel, and why', () => {
    const { membership, told, client, other } = setUp();
    membership.join(client.connection, 'a');
    membership.join(other.connection, 'a');
    expect(membership.index.count('a')).toBe(2);
    membership.leave(client.connection, 'a', 'unsubscribed');
    membership.leave(other.connection, 'a', 'channel_not_allowed');
    expect(told).toEqual([
      ['joined', client.connection, 'a'],
      ['joined', other.connection, 'a'],
      ['left', client.connection, 'a', 'unsubscribed'],
      ['left', other.connection, 'a', 'channel_not_allowed'],
    ]);
    expect(membership.index.subscriptions).toBe(0);
  });

  it('takes a channel from one client and no other, and tells that client why', () => {
    const { membership, client, other } = setUp();
    for (const each of [client, other]) {
      membership.join(each.connection, 'a');
      membership.join(each.connection, 'b');
    }
    expect(membership.leave(client.connection, 'a', 'channel_not_allowed')).toBe(true);
    expect(client.sent()).toEqual([
      { type: 'unsubscribed', channels: ['a'], reason: 'channel_not_allowed' },
    ]);
    expect(other.sent()).toEqual([]);
    expect(membership.index.get('a')).toEqual([other.connection]);
    expect(membership.index.count('b')).toBe(2);
  });

  it('sends a client nothing more of a channel that was taken from it', () => {
    const { membership } = setUp();
    const client = createTestConnection({ limits: { ...LIMITS, slots: 1 } });
    const { outbox } = client.connection;
    membership.join(client.connection, 'a');
    for (const offset of [1, 2]) outbox.offer(publicationOf('a', '', offset), 0);
    expect(outbox.misses('a')).toBe(true);
    membership.leave(client.connection, 'a', 'channel_not_allowed');
    expect(outbox.misses('a')).toBe(false);
  });

  it('tells nothing to a client that asked to leave, and ignores one that holds nothing', () => {
    const { membership, told, client, other } = setUp();
    membership.join(client.connection, 'a');
    expect(membership.leave(client.connection, 'a', 'unsubscribed')).toBe(true);
    told.length = 0;
    expect(membership.leave(client.connection, 'a', 'channel_not_allowed')).toBe(false);
    expect(membership.leave(other.connection, 'b', 'unsubscribed')).toBe(false);
    membership.leaveAll(other.connection);
    expect([...client.sent(), ...other.sent(), ...told]).toEqual([]);
  });

  it('takes channels from all clients, and tells each in one frame of all that it held', () => {
    const { membership, told, client, other } = setUp();
    membership.join(client.connection, 'a');
    membership.join(client.connection, 'b');
    membership.join(other.connection, 'b');
    membership.join(other.connection, 'c');
    told.length = 0;
    membership.leaveTogether(['a', 'b', 'unknown'], 'unavailable');
    const frame = { type: 'unsubscribed', reason: 'unavailable' };
    expect(client.sent()).toEqual([{ ...frame, channels: ['a', 'b'] }]);
    expect(other.sent()).toEqual([{ ...frame, channels: ['b'] }]);
    expect(told).toEqual([
      ['left', client.connection, 'a', 'unavailable'],
      ['left', client.connection, 'b', 'unavailable'],
      ['left', other.connection, 'b', 'unavailable'],
    ]);
    expect([...membership.index.counts()]).toEqual([['c', 1]]);
  });

  it('tells listeners, and not the client, which channels a connection held when it ended', () => {
    const { membership, told, client } = setUp();
    membership.join(client.connection, 'a');
    membership.join(client.connection, 'b');
    told.length = 0;
    membership.leaveAll(client.connection);
    expect(told).toEqual([
      ['left', client.connection, 'a', 'disconnected'],
      ['left', client.connection, 'b', 'disconnected'],
    ]);
    expect(client.sent()).toEqual([]);
    expect(membership.index.held(client.connection)).toBe(0);
  });
});

function setUp() {
  const membership = new Membership();
  const told: unknown[][] = [];
  membership.listen({
    onJoined: (connection, channel) => told.push(['joined', connection, channel]),
    onLeft: (...left) => told.push(['left', ...left]),
  });
  return { membership, told, client: createTestConnection(), other: createTestConnection() };
}
