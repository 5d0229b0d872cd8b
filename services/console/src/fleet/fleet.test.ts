import { EDGE_FIGURES, LAG_BOUNDS_MS, type NodeState, WIRE_FIGURES } from '@tradewind/bus';
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

  /** @param states undefined while Redis does not answer. */
  tick(states: readonly NodeState[] | undefined): void {
    this.#now += 1_000;
    if (states !== undefined) this.fleet.read(states, this.#now, this.#now);
    this.fleet.tick(this.#now);
  }

  /** Reads states between two seconds. */
  readAfter(ms: number, states: readonly NodeState[]): boolean {
    this.#now += ms;
    return this.fleet.read(states, this.#now, this.#now);
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

  it('calls no node silent while Redis does not answer', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    for (let second = 0; second < 60; second += 1) watched.tick(undefined);
    expect(watched.snapshot.problems).toEqual([]);
    expect(watched.snapshot.nodes[0]?.health).toBe('ready');
    // It has not written yet since Redis answers again.
    watched.tick([edge('a', 1)]);
    watched.tick([edge('a', 2)]);
    expect(watched.snapshot.events).toEqual([]);
  });

  it('gives nodes time to write again after Redis did not answer', () => {
    const watched = new Watched();
    const read = (beat: number) => watched.readAfter(100, [edge('a', beat)]);
    for (let ms = 0; ms < 1_000; ms += 100) read(1);
    for (let second = 0; second < 5; second += 1) watched.tick(undefined);
    for (let ms = 0; ms < 1_300; ms += 100) read(1);
    read(2);
    watched.tick([edge('a', 3)]);
    expect(watched.snapshot.events).toEqual([]);
  });

  it('control: a node that does not write again is silent', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    for (let second = 0; second < 5; second += 1) watched.tick(undefined);
    for (let second = 0; second < 4; second += 1) watched.tick([edge('a', 1)]);
    expect(watched.snapshot.events).toMatchObject([{ event: 'silent' }]);
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

  it('holds nothing for a fact that it did not see while Redis did not answer', () => {
    const watched = new Watched();
    let beat = 0;
    const next = () => {
      beat += 1;
      return [edge('a', beat, { connections: 10, deliveries: beat * 1_000, gaps: beat * 2 })];
    };
    for (let second = 0; second < 65; second += 1) watched.tick(next());
    for (let second = 0; second < 60; second += 1) {
      watched.tick(undefined);
      expect(watched.snapshot).toMatchObject({ isSeen: false, point: { deliveries: 1_000 } });
    }
    const blind = watched.fleet.history.columns();
    expect(blind.seconds.clients?.slice(-61)).toEqual([10, ...Array(60).fill(null)]);
    expect(blind.minutes.clients?.slice(-2)).toEqual([10, 10]);
    beat += 60;
    for (let second = 0; second < 10; second += 1) {
      watched.tick(next());
      expect(watched.snapshot).toMatchObject({ isSeen: true, point: { deliveries: 1_000 } });
      expect(watched.snapshot.nodes).toMatchObject([{ deliveries: 1_000 }]);
    }
    // What was lost meanwhile is told once the totals are known again.
    expect(watched.snapshot.lostLastHour).toBe((beat - 1) * 2);
    const { deliveries = [], lost = [] } = watched.fleet.history.columns().seconds;
    expect(deliveries.slice(-11)).toEqual([null, ...Array(10).fill(1_000)]);
    expect(lost.slice(-10)).toEqual([122, ...Array(9).fill(2)]);
  });

  it('forgets no node while Redis does not answer', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    for (let second = 0; second <= KEEP_SILENT_MS / 500; second += 1) watched.tick(undefined);
    expect(watched.snapshot.nodes).toHaveLength(1);
    const { verdict } = watched.fleet.snapshot(10_000, 10_000, 4_000);
    expect(verdict).toEqual({
      word: 'Blind',
      sentence: 'Redis has not answered the console for 6 s: these are the last figures.',
      since: 4_000,
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

  it('keeps the figures of the wire of a node whose state had no room for them', () => {
    const watched = new Watched();
    const wire = (beat: number) => ({
      binaryConnections: 9,
      savedBytes: 1e9 + beat * 60,
      skipped: 5,
    });
    const wordy = (beat: number): NodeState => {
      const state = edge('a', beat, wire(beat), { reasons: ['many'] });
      const told = Object.entries(state.figures).filter(([name]) => !(name in WIRE_FIGURES));
      return { ...state, figures: Object.fromEntries(told) };
    };
    for (let beat = 1; beat <= 70; beat += 1) watched.tick([edge('a', beat, wire(beat))]);
    expect(watched.snapshot.nodes[0]).toMatchObject({ binaryConnections: 9, savedBytes: 60 });
    for (let beat = 71; beat <= 73; beat += 1) watched.tick([wordy(beat)]);
    expect(watched.snapshot.nodes[0]).toMatchObject({ binaryConnections: 9 });
    watched.tick([edge('a', 74, wire(74))]);
    expect(watched.snapshot.nodes[0]?.savedBytes).toBe(60);
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
        'a is cut off from Redis: the channels there get nothing. 2 of 2 edges are ready. 1 more problem.',
      since: 1,
    });
    expect(connectionsLimit).toBe(2_000);
    expect(nodes.map(({ health }) => health)).toEqual(['degraded', 'degraded']);
  });

  it('names the shard that is away, and how many edges lack it', () => {
    const watched = new Watched();
    const shards = { all: 3, away: 1, names: ['10.0.0.5:6379'] };
    const cut = (node: string, beat: number) =>
      edge(node, beat, {}, { degradedSince: 700, reasons: ['redis_unavailable'], shards });
    for (let beat = 1; beat <= 5; beat += 1) {
      watched.tick([cut('a', beat), cut('b', beat), edge('c', beat)]);
    }
    const { verdict, problems } = watched.snapshot;
    expect(verdict).toEqual({
      word: 'Failing',
      sentence:
        'Redis shard 10.0.0.5:6379 cannot be reached by 2 of 3 edges: the channels there get nothing. 3 of 3 edges are ready.',
      since: 700,
    });
    expect(problems[0]).toMatchObject({
      sentence:
        'is cut off from 1 of 3 Redis shards (10.0.0.5:6379): the channels there get nothing',
      since: 700,
    });
  });

  it('takes the loss of the same shards for one problem, also where an edge has no room to name all', () => {
    const watched = new Watched();
    const cut = (node: string, beat: number, ...names: readonly string[]) =>
      edge(node, beat, {}, { degradedSince: 700, shards: { all: 9, away: 3, names } });
    for (let beat = 1; beat <= 5; beat += 1) {
      watched.tick([cut('a', beat, 'h:1', 'h:2'), cut('b', beat, 'h:1'), edge('c', beat)]);
    }
    expect(watched.snapshot.verdict.sentence).toBe(
      'Redis shards h:1, h:2 and 1 more cannot be reached by 2 of 3 edges: the channels there get nothing. 3 of 3 edges are ready.',
    );
  });

  it('control: the loss of other shards is another problem', () => {
    const watched = new Watched();
    const cut = (node: string, beat: number, away: number, name: string) =>
      edge(node, beat, {}, { degradedSince: 700, shards: { all: 9, away, names: [name] } });
    for (let beat = 1; beat <= 5; beat += 1) {
      watched.tick([cut('a', beat, 1, 'h:1'), cut('b', beat, 1, 'h:2'), cut('c', beat, 2, 'h:1')]);
    }
    expect(watched.snapshot.verdict.sentence).toBe(
      'Redis shard h:1 cannot be reached by 1 of 3 edges: the channels there get nothing. 3 of 3 edges are ready. 2 more problems.',
    );
  });

  it('says since when each problem has been there', () => {
    const watched = new Watched();
    for (let beat = 1; beat <= 9; beat += 1) {
      const connections = beat < 5 ? 10 : 950;
      watched.tick([edge('full', beat, { connections }), edge('gone', Math.min(beat, 2))]);
    }
    expect(watched.snapshot.problems.map(({ node, since }) => [node, since])).toEqual([
      ['gone', 2_000],
      ['full', 5_000],
    ]);
    expect(watched.snapshot.verdict.since).toBe(2_000);
  });

  it('sees within 2.4 s of its last state that a node is silent, and says at once that something changed', () => {
    const watched = new Watched();
    const STEP_MS = 100;
    expect(watched.readAfter(0, [edge('a', 1)])).toBe(true);
    // It wrote right after a reading, so that the next one sees it.
    let silentAfterMs = 0;
    for (let ms = STEP_MS; silentAfterMs === 0 && ms < 9_000; ms += STEP_MS) {
      if (watched.readAfter(STEP_MS, [edge('a', 2)])) silentAfterMs = ms;
    }
    expect(silentAfterMs).toBe(2_400);
    expect(watched.snapshot.verdict.sentence).toBe(
      'a has been silent for 2 s; it held 0 clients. 0 of 1 edge is ready.',
    );
  });

  it.each([
    ['control: a node that writes 1.2 s late is not silent', 1_200, ['ready']],
    ['a node that writes 1.5 s late was silent, and is back', 1_500, ['ready', 'silent', 'ready']],
  ])('%s', (_, lateMs, healths) => {
    const watched = new Watched();
    let beat = 0;
    let nextAt = 0;
    const seen: (string | undefined)[] = [];
    for (let ms = 0; ms <= 20_000; ms += 100) {
      if (ms >= nextAt) {
        beat += 1;
        nextAt = ms + 1_000 + (beat === 10 ? lateMs : 0);
      }
      watched.readAfter(100, [edge('a', beat)]);
      const health = watched.snapshot.nodes[0]?.health;
      if (health !== seen.at(-1)) seen.push(health);
    }
    expect(seen).toEqual(healths);
  });

  it('reads a node again only when its next state may be there, and sees it no later for that', () => {
    const { fleet } = new Watched();
    let beat = 1;
    let readings = 0;
    let latestMs = 0;
    let writtenAt = 0;
    fleet.read([edge('a', beat)], 0, 0);
    for (let ms = 100; ms <= 20_000; ms += 100) {
      // It wrote right after the reading before.
      if (ms % 1_000 === 0) {
        beat += 1;
        writtenAt = ms - 99;
      }
      const isDue = fleet.isDue('a');
      readings += isDue ? 1 : 0;
      fleet.read(isDue ? [edge('a', beat)] : [], ms, ms);
      if (!fleet.isDue('a') && writtenAt > 0) {
        latestMs = Math.max(latestMs, ms - writtenAt);
        writtenAt = 0;
      }
    }
    expect(latestMs).toBe(99);
    expect(readings).toBeLessThan(20_000 / 250);
    expect(fleet.isDue('never-seen')).toBe(true);
  });

  it.each([
    ['is new', 0],
    ['was not seen for ten seconds', 10],
    ['was not seen for two minutes', 120],
  ])('has the figures of the wire of a node that %s from its second second on', (_, blind) => {
    const watched = new Watched();
    let beat = 0;
    const next = () => {
      beat += 1;
      return [edge('a', beat, { skipped: beat * 30, savedBytes: beat * 1_000 })];
    };
    for (let second = 0; second < blind * 2; second += 1) watched.tick(next());
    for (let second = 0; second < blind; second += 1) watched.tick(undefined);
    beat += blind;
    watched.tick(next());
    for (let second = 0; second < 80; second += 1) {
      watched.tick(next());
      expect(watched.snapshot.nodes).toMatchObject([{ skipped: 30, savedBytes: 1_000 }]);
    }
  });

  it('control: what alerts ask for is divided by all of their time', () => {
    const watched = new Watched();
    watched.tick([edge('a', 1)]);
    watched.tick([edge('a', 2, { gaps: 20 })]);
    expect(watched.snapshot.problems).toEqual([]);
  });

  it('asks for the events of a node again only when it has new ones', () => {
    const { fleet } = new Watched();
    const state = edge('a', 1, { events: 3 });
    expect(fleet.nodesWithNews([state])).toEqual(['a']);
    fleet.takeEvents(state, [{ at: 5, event: 'degraded', detail: 'x' }]);
    expect(fleet.nodesWithNews([state])).toEqual([]);
  });
});
