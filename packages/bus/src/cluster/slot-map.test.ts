import { describe, expect, it } from 'vitest';
import { newestAnswers, readClusterAnswer } from './cluster-answer.ts';
import { SlotMap } from './slot-map.ts';

const info = (epoch: number, state = 'ok') =>
  `cluster_enabled:1\r\ncluster_state:${state}\r\ncluster_current_epoch:${epoch}\r\n`;

function node(port: number, more: Readonly<Record<string, unknown>> = {}): unknown[] {
  const fields = { id: 'x', port, ip: '10.0.0.1', endpoint: '10.0.0.1', role: 'master' };
  return Object.entries({ ...fields, 'replication-offset': 7, health: 'online', ...more }).flat();
}

const shard = (slots: readonly number[], ...nodes: readonly unknown[]) => [
  ...['slots', slots, 'nodes', nodes],
];

const read = (shards: unknown, epoch = 1, tls = false) =>
  readClusterAnswer(info(epoch), shards, '10.9.9.9', tls);

describe('readClusterAnswer', () => {
  it('reads the masters and their slots', () => {
    const answer = read([
      shard([0, 5_460, 9_000, 9_000], node(7_000), node(7_003, { role: 'replica' })),
      shard([], node(7_009)),
    ]);
    expect(answer).toEqual({
      epoch: 1,
      isServing: true,
      masters: [
        {
          host: '10.0.0.1',
          port: 7_000,
          ranges: [
            [0, 5_460],
            [9_000, 9_000],
          ],
        },
      ],
    });
  });

  it('takes the master that is online where a shard names two', () => {
    const { masters } = read([
      shard([0, 1], node(7_000, { health: 'fail' }), node(7_001, { health: 'online' })),
    ]);
    expect(masters.map(({ port }) => port)).toEqual([7_001]);
  });

  it.each([
    [{ endpoint: '?' }, '10.0.0.1'],
    [{ endpoint: '', ip: '' }, '10.9.9.9'],
    [{ endpoint: null, ip: null }, '10.9.9.9'],
    [{ endpoint: 'redis-0.internal' }, 'redis-0.internal'],
    [{ endpoint: 'a b\r\nc', ip: '10.0.0.1' }, '10.0.0.1'],
  ])('finds a host in %j', (fields, host) => {
    expect(read([shard([0, 1], node(7_000, fields))]).masters[0]?.host).toBe(host);
  });

  it('takes the port for TLS with TLS', () => {
    const shards = [shard([0, 1], node(7_000, { 'tls-port': 7_100 }))];
    expect(read(shards, 1, true).masters[0]?.port).toBe(7_100);
    expect(read(shards, 1, false).masters[0]?.port).toBe(7_000);
  });

  it('leaves out what is no range, no port and no node', () => {
    const shards = [
      shard([5, 4, -1, 3, 0, 16_384, 7, 8], node(7_000)),
      shard([9, 9], node(0)),
      shard([10, 10], 'nonsense'),
      'nonsense',
      null,
    ];
    expect(read(shards).masters).toEqual([{ host: '10.0.0.1', port: 7_000, ranges: [[7, 8]] }]);
  });

  it.each([
    ['a server without a cluster', 'cluster_enabled:0', []],
    ['something else', info(1), 'OK'],
    ['too many shards', info(1), Array.from({ length: 501 }, () => shard([0, 1], node(1)))],
  ])('refuses %s', (_, text, shards) => {
    expect(() => readClusterAnswer(text, shards, 'h', false)).toThrow();
  });
});

describe('newestAnswers', () => {
  it('goes by the epoch, and then by whether the node serves', () => {
    const old = readClusterAnswer(info(4), [], 'h', false);
    const cutOff = readClusterAnswer(info(6, 'fail'), [], 'h', false);
    const serving = readClusterAnswer(info(6), [], 'h', false);
    expect(newestAnswers([old, cutOff, serving])).toEqual([serving]);
    expect(newestAnswers([cutOff, old])).toEqual([cutOff]);
    expect(newestAnswers([])).toEqual([]);
  });
});

describe('SlotMap', () => {
  it('knows the owner of each slot by the answer, and by what a MOVED says after it', () => {
    const map = new SlotMap();
    expect(map.ownerOf(3)).toBeUndefined();
    const answer = read([shard([0, 8_191], node(7_000)), shard([8_192, 16_383], node(7_001))]);
    expect(map.take(answer)).toBe(true);
    expect(map.take(answer)).toBe(false);
    expect([map.ownerOf(0), map.ownerOf(16_383)]).toEqual(['10.0.0.1:7000', '10.0.0.1:7001']);
    expect(map.firstSlotOf('10.0.0.1:7001')).toBe(8_192);

    expect(map.move(3, { host: '::1', port: 7_002 })).toBe(true);
    expect(map.move(3, { host: '::1', port: 7_002 })).toBe(false);
    expect(map.ownerOf(3)).toBe('[::1]:7002');
    expect(map.masters.get('[::1]:7002')).toEqual({ host: '::1', port: 7_002 });
    expect(map.take(answer)).toBe(true);
    expect(map.masters.has('[::1]:7002')).toBe(false);
  });

  it('keeps what a MOVED said after the question, and takes the answer to a later one', () => {
    const map = new SlotMap();
    const stale = read([shard([0, 8_191], node(7_000)), shard([8_192, 16_383], node(7_001))]);
    map.take(stale);
    const asked = map.moves;
    map.move(3, { host: '10.0.0.1', port: 7_002 });
    expect(map.take(stale, [], asked)).toBe(false);
    expect(map.ownerOf(3)).toBe('10.0.0.1:7002');
    expect(map.masters.get('10.0.0.1:7002')).toEqual({ host: '10.0.0.1', port: 7_002 });
    expect(map.take(stale, [], map.moves)).toBe(true);
    expect(map.ownerOf(3)).toBe('10.0.0.1:7000');
  });

  it('leaves a slot with its present owner where answers that are as new differ', () => {
    const map = new SlotMap();
    const stale = read([shard([0, 8_191], node(7_000)), shard([8_192, 16_383], node(7_001))]);
    const moved = read([shard([0, 8_190], node(7_000)), shard([8_191, 16_383], node(7_001))]);
    map.take(stale);
    map.move(8_191, { host: '10.0.0.1', port: 7_001 });
    expect(map.take(stale, [moved])).toBe(false);
    expect(map.ownerOf(8_191)).toBe('10.0.0.1:7001');
    expect(map.take(stale)).toBe(true);
  });

  it('tells that a master is gone which gave away its last slot by a MOVED', () => {
    const map = new SlotMap();
    map.take(read([shard([0, 0], node(7_000)), shard([1, 16_383], node(7_001))]));
    map.move(0, { host: '10.0.0.1', port: 7_001 });
    expect(map.take(read([shard([0, 16_383], node(7_001))]))).toBe(true);
    expect([...map.masters.keys()]).toEqual(['10.0.0.1:7001']);
  });
});
