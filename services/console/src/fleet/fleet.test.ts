import { EDGE_FIGURES, LAG_BOUNDS_MS, type NodeState } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { Fleet, KEEP_SILENT_MS } from './fleet.ts';

const STARTED_AT = 1_000;

/** The state of an edge. Its figures are 0 unless they are given. */
function edge(
  node: string,
  beat: number,
  figures: Partial<Record<keyof typeof EDGE_FIGURES, number>> = {},
  changes: Partial<NodeState> = {},
): NodeState {
  const none = Object.fromEntries(Object.keys(EDGE_FIGURES).map((name) => [name, 0]));
  return {
    kind: 'edge',
    node,
    release: '0.1.0',
    beat,
    startedAt: STARTED_AT,
    health: 'ready',
    reasons: [],
    admin: '127.0.0.1:9080',
    figures: { ...none, connectionsLimit: 1_000, memoryLimitBytes: 1_000, ...figures },
    lag: [...LAG_BOUNDS_MS, 0].map(() => 0),
    ...changes,
  };
}

/** A fleet that is told something each second. */
class Watched {
  readonly fleet = new Fleet();
  #now = 0;

  tick(states: readonly NodeState[] | undefined): void {
    this.#now += 1_000;
    this.fleet.tick(states, this.#now, this.#now);
  }

  /** Time in which nothing is told. */
  skip(seconds: number): void {
    this.#now += seconds * 1_000;
  }

  get snapshot() {
    return this.fleet.snapshot(this.#now, this.#now, undefined);
  }
}

describe('a fleet', () => {
  it('is empty before a node has told its state', () => {
    const watched = new Watched();
    watched.tick([]);
    expect(watched.snapshot.verdict.word).toBe('Empty');
  });

  it('is healthy while all edges are ready, and adds their clients up', () => {
    const watched = new Watched();
    for (let beat = 1; beat < 5; beat += 1) {
      watched.tick([edge('a', beat, { connections: 10 }), edge('b', beat, { connections: 5 })]);
    }
    const { verdict, point, connectionsLimit } = watched.snapshot;
    expect(verdict).toEqual({ word: 'Healthy', sentence: '2 of 2 edges are ready; 15 clients.' });
    expect(point.clients).toBe(15);
    expect(connectionsLimit).toBe(2_000);
  });

  it('shows a node that falls silent within three seconds, with its last figures, for ten minutes', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1, { connections: 7 }), edge('b', 1)]);
    const last = edge('a', 1, { connections: 7 });
    for (let beat = 2; beat <= 4; beat += 1) watched.tick([last, edge('b', beat)]);
    const [row] = watched.snapshot.nodes;
    expect(row).toMatchObject({ node: 'a', health: 'silent', connections: 7 });
    expect(watched.snapshot.verdict).toMatchObject({ word: 'Failing' });
    expect(watched.snapshot.verdict.sentence).toContain('it held 7 clients');
    expect(watched.snapshot.events).toEqual([
      { node: 'a', at: 1_000, event: 'silent', detail: 'held 7 clients' },
    ]);
    // Its clients are no longer clients of the tier.
    expect(watched.snapshot.point.clients).toBe(0);
    for (let second = 0; second <= KEEP_SILENT_MS / 1_000; second += 1) {
      watched.tick([edge('b', 10 + second)]);
    }
    expect(watched.snapshot.nodes.map(({ node }) => node)).toEqual(['b']);
  });

  it('shows no node that ended as it should, but tells that it did', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1, { connections: 7 }), edge('b', 1)]);
    const last = { ...edge('a', 2), health: 'draining' as const };
    for (let beat = 2; beat <= 6; beat += 1) watched.tick([last, edge('b', beat)]);
    expect(watched.snapshot.verdict).toMatchObject({ word: 'Healthy' });
    expect(watched.snapshot.verdict.sentence).toContain('1 of 1 edge is ready');
    expect(watched.snapshot.nodes.map(({ node }) => node)).toEqual(['b']);
    expect(watched.snapshot.events).toMatchObject([{ node: 'a', event: 'ended' }]);
  });

  it('says of a node that fell silent while it drained how many clients it held', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1, { connections: 7 }), edge('b', 1)]);
    const last = { ...edge('a', 2, { connections: 3 }), health: 'draining' as const };
    for (let beat = 2; beat <= 6; beat += 1) watched.tick([last, edge('b', beat)]);
    expect(watched.snapshot.verdict.sentence).toContain('it held 3 clients');
  });

  it('says that a node is back', () => {
    const watched = new Watched();
    for (let second = 0; second < 4; second += 1) watched.tick([edge('a', 1)]);
    watched.tick([edge('a', 2)]);
    expect(watched.snapshot.events.map(({ event }) => event)).toEqual(['back', 'silent']);
  });

  it('knows of no node that it fell silent while Redis did not answer', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    for (let second = 0; second < 5; second += 1) watched.tick(undefined);
    watched.tick([edge('a', 2)]);
    expect(watched.snapshot.events).toEqual([]);
  });

  it('keeps a minute when sixty seconds are over, also those that it did not see', () => {
    const watched = new Watched();
    for (let second = 0; second < 20; second += 1) watched.tick([edge('a', second)]);
    watched.skip(40);
    for (let second = 0; second < 5; second += 1) watched.tick([edge('a', 20 + second)]);
    const { seconds, minutes } = watched.fleet.history.columns();
    expect(seconds.clients?.slice(-46, -45)).toEqual([0]);
    expect(seconds.clients?.slice(-45, -5)).toEqual(Array(40).fill(null));
    expect(minutes.clients?.slice(-2)).toEqual([null, 0]);
    expect(watched.snapshot.minute.figures).toBeDefined();
  });

  it('forgets no node while Redis does not answer', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    for (let second = 0; second <= KEEP_SILENT_MS / 500; second += 1) watched.tick(undefined);
    expect(watched.snapshot.nodes).toHaveLength(1);
    const { verdict } = watched.fleet.snapshot(10_000, 10_000, 4_000);
    expect(verdict).toEqual({
      word: 'Blind',
      sentence: 'Redis has not answered the console for 6 s.',
    });
  });

  it('remembers no more than 1,000 nodes, however many names are written', () => {
    const watched = new Watched();
    const named = (from: number) =>
      Array.from({ length: 800 }, (_, i) => edge(`n${from + i}`, 1, { events: 1 }));
    watched.tick(named(0));
    watched.tick(named(800));
    expect(watched.snapshot.nodes).toHaveLength(1_000);
  });

  it('takes rates from differences, also when a node starts again and counts from 0', () => {
    const watched = new Watched();
    for (let beat = 1; beat <= 10; beat += 1) {
      watched.tick([edge('a', beat, { deliveries: beat * 100 })]);
    }
    expect(watched.snapshot.nodes[0]?.deliveries).toBe(100);
    for (let beat = 1; beat <= 10; beat += 1) {
      watched.tick([edge('a', beat, { deliveries: beat * 20 }, { startedAt: 2_000 })]);
    }
    expect(watched.snapshot.nodes[0]?.deliveries).toBe(20);
  });

  it('puts a loss before a full node, and a critical problem before a warning', () => {
    const watched = new Watched();
    for (let beat = 1; beat <= 20; beat += 1) {
      watched.tick([
        edge('full', beat, { connections: 950 }),
        edge('lossy', beat, { gaps: beat * 100 }),
        edge('cut', beat, {}, { degradedSince: 1 }),
      ]);
    }
    const { problems } = watched.snapshot;
    expect(problems.map(({ node, alert }) => [node, alert])).toEqual([
      ['cut', 'EdgeDegraded'],
      ['lossy', 'EdgeGaps'],
      ['full', 'EdgeNearlyFull'],
    ]);
  });

  it('says of edges that are cut off from a shard that they are ready, as these say themselves', () => {
    const watched = new Watched();
    const cut = (node: string, beat: number) =>
      edge(node, beat, { connections: 10 }, { degradedSince: 1, reasons: ['redis_unavailable'] });
    for (let beat = 1; beat <= 5; beat += 1) watched.tick([cut('a', beat), cut('b', beat)]);
    const { verdict, connectionsLimit, nodes } = watched.snapshot;
    expect(verdict).toEqual({
      word: 'Failing',
      sentence:
        'a is cut off from Redis, or from a shard of it: the channels there get nothing. 2 of 2 edges are ready. 1 more problem.',
    });
    expect(connectionsLimit).toBe(2_000);
    expect(nodes.map(({ health }) => health)).toEqual(['degraded', 'degraded']);
  });

  it('asks for the events of a node again only when it has new ones', () => {
    const { fleet } = new Watched();
    const state = edge('a', 1, { events: 3 });
    expect(fleet.nodesWithNews([state])).toEqual(['a']);
    fleet.takeEvents(state, [{ at: 5, event: 'degraded', detail: 'x' }]);
    expect(fleet.nodesWithNews([state])).toEqual([]);
  });
});
