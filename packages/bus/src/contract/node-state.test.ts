import { describe, expect, it } from 'vitest';
import {
  EDGE_FIGURES,
  encodeNodeState,
  LAG_BOUNDS_MS,
  MAX_NODE_STATE_BYTES,
  type NodeState,
  readNodeEvents,
  readNodeState,
  WIRE_FIGURES,
} from './node-state.ts';

/** A state as large as it gets: every figure at a size that a node reaches within years. */
const LARGE: NodeState = {
  kind: 'edge',
  node: 'projects-of-a-company-edge-europe-west3-a-x7k2-0001',
  release: '10.12.14',
  beat: 31_536_000,
  startedAt: 1_795_416_898_073,
  health: 'unready',
  reasons: ['draining'],
  degradedSince: 1_795_416_898_073,
  admin: '10.200.200.200:9080',
  figures: Object.fromEntries(
    Object.keys(EDGE_FIGURES)
      .filter((name) => !(name in WIRE_FIGURES))
      .map((name) => [name, 123_456_789_012]),
  ),
  lag: [...LAG_BOUNDS_MS, 0].map(() => 12_345_678),
};

describe('the state of a node', () => {
  it('is read as it was written', () => {
    expect(readNodeState(encodeNodeState(LARGE))).toEqual(LARGE);
  });

  it('has at most 1,024 bytes, also with many reasons, which are left out then', () => {
    const reasons = Array.from({ length: 40 }, (_, i) => `a-reason-with-a-long-name-${i}`);
    const text = encodeNodeState({ ...LARGE, reasons });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_NODE_STATE_BYTES);
    expect(readNodeState(text)?.reasons.length).toBeLessThan(40);
  });

  it('leaves out what the wire tells, and then names of shards, before a reason', () => {
    const wire = Object.fromEntries(Object.keys(WIRE_FIGURES).map((name) => [name, 123_456_789]));
    const names = Array.from({ length: 30 }, (_, i) => `redis-shard-${i}.example.internal:6379`);
    const shards = { all: 40, away: 30, names };
    const text = encodeNodeState({ ...LARGE, figures: { ...LARGE.figures, ...wire }, shards });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_NODE_STATE_BYTES);
    const read = readNodeState(text);
    expect(read).toMatchObject({ figures: LARGE.figures, reasons: LARGE.reasons });
    expect(read?.figures).not.toHaveProperty('savedBytes');
    expect(read?.shards).toMatchObject({ all: 40, away: 30 });
    expect(names.slice(0, read?.shards?.names.length)).toEqual(read?.shards?.names);
  });

  it('has a figure of the wire that is not 0, and no other', () => {
    const figures = { connections: 0, latest: 0, savedBytes: 7 };
    const read = readNodeState(encodeNodeState({ ...LARGE, figures }));
    expect(read?.figures).toEqual({ connections: 0, savedBytes: 7 });
  });

  it.each([
    ['nothing', null],
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no object', 'null'],
    ['an unknown kind', JSON.stringify({ ...LARGE, kind: 'other' })],
    ['no name', JSON.stringify({ ...LARGE, node: 7 })],
    ['a figure that is none', JSON.stringify({ ...LARGE, figures: { connections: 'many' } })],
    ['reasons that are none', JSON.stringify({ ...LARGE, reasons: [1] })],
    ['shards that are none', JSON.stringify({ ...LARGE, shards: { all: 3, away: 1 } })],
    ['no lag', JSON.stringify({ ...LARGE, lag: undefined })],
    ['a time before all dates', JSON.stringify({ ...LARGE, degradedSince: -1e17 })],
    ['a time after all dates', JSON.stringify({ ...LARGE, degradedSince: 8.7e15 })],
    ['a start that is no date', JSON.stringify({ ...LARGE, startedAt: 1e300 })],
    ['a figure beyond all sums', JSON.stringify({ ...LARGE, figures: { sentBytes: 1e307 } })],
    ['a lag beyond all sums', JSON.stringify({ ...LARGE, lag: [1e308] })],
    [
      'more shards than can be',
      JSON.stringify({ ...LARGE, shards: { all: 1e300, away: 1, names: [] } }),
    ],
  ])('is not read from %s', (_what, text) => {
    expect(readNodeState(text)).toBeUndefined();
  });
});

describe('the events of a node', () => {
  it('are read without those that are none', () => {
    const good = { at: 1, event: 'degraded', detail: 'the link was lost' };
    expect(readNodeEvents(JSON.stringify([good, { at: 'x' }, null]))).toEqual([good]);
    expect(readNodeEvents(JSON.stringify([{ ...good, at: -1e17 }, good]))).toEqual([good]);
    expect(readNodeEvents('{"at":1}')).toEqual([]);
  });
});
