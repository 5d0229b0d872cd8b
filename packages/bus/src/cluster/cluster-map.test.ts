import { afterEach, describe, expect, it, vi } from 'vitest';
import { TOPOLOGY_INTERVAL_MS } from '../redis-limits.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { ClusterMap } from './cluster-map.ts';

/** Longer than any question here, in ms. */
const DEADLINE_MS = 10_000;

/** Sooner than by the interval, and as late as a busy machine may be, in ms. */
const SOON_MS = 0.9 * TOPOLOGY_INTERVAL_MS;

const SETTINGS: RedisSettings = {
  mode: 'cluster',
  // Nobody listens there: only nodes that the map knows already can answer.
  url: 'redis://127.0.0.1:1',
  password: undefined,
  certificateAuthority: undefined,
  connectionName: 'test',
};

/** What each node says, under a test's control. */
class Nodes {
  readonly answers = new Map<string, () => { info: string; shards: unknown }>();
  readonly seen: string[] = [];
  readonly map: ClusterMap;
  #changed = Promise.withResolvers<void>();

  constructor() {
    this.map = new ClusterMap(
      SETTINGS,
      (name) => {
        const answer = this.answers.get(name);
        return answer === undefined ? undefined : Promise.resolve(answer());
      },
      {
        changed: () => this.#note('changed'),
        unchanged: () => this.#note('unchanged'),
        unknown: () => this.#note('unknown'),
      },
    );
  }

  says(name: string, epoch: number, owner: string, state = 'ok'): void {
    const [, port] = owner.split(':');
    const node = ['endpoint', '10.0.0.1', 'port', Number(port), 'role', 'master'];
    const shard = ['slots', [0, 16_383], 'nodes', [[...node, 'health', 'online']]];
    const info = `cluster_state:${state}\r\ncluster_current_epoch:${epoch}\r\n`;
    this.answers.set(name, () => ({ info, shards: [shard] }));
  }

  /** Resolves once this many further events have come. */
  async events(count: number): Promise<void> {
    const until = this.seen.length + count;
    const late = setTimeout(() => this.#changed.reject(new Error('no event')), DEADLINE_MS);
    while (this.seen.length < until) await this.#changed.promise;
    clearTimeout(late);
  }

  #note(event: string): void {
    this.seen.push(event);
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

let nodes: Nodes;

afterEach(() => nodes.map.stop());

describe('ClusterMap', () => {
  it('says once that nobody answers, and keeps what a MOVED says until an answer comes', async () => {
    nodes = new Nodes();
    nodes.map.start();
    await nodes.events(2);
    expect(nodes.seen).toEqual(['unknown', 'unchanged']);
    nodes.map.moved(7, { host: '10.0.0.1', port: 1 });
    expect(nodes.map.ownerOf(7)).toBe('10.0.0.1:1');
    nodes.says('10.0.0.1:1', 3, '10.0.0.1:2');
    await nodes.events(1);
    expect(nodes.map.isKnown).toBe(true);
    expect(nodes.map.ownerOf(7)).toBe('10.0.0.1:2');
  });

  it('goes by the newest of several answers, and keeps to it when only older ones come', async () => {
    nodes = new Nodes();
    nodes.map.start();
    nodes.map.moved(0, { host: '10.0.0.1', port: 1 });
    nodes.map.moved(1, { host: '10.0.0.1', port: 2 });
    // The first one is cut off from the others and believes that it is the master still.
    nodes.says('10.0.0.1:1', 5, '10.0.0.1:1');
    nodes.says('10.0.0.1:2', 6, '10.0.0.1:2');
    await nodes.events(2);
    expect(nodes.map.ownerOf(0)).toBe('10.0.0.1:2');
    nodes.says('10.0.0.1:2', 5, '10.0.0.1:1');
    await nodes.events(2);
    expect(nodes.map.ownerOf(0)).toBe('10.0.0.1:2');
    expect([...nodes.map.masters.keys()]).toEqual(['10.0.0.1:2']);
  });

  it('keeps what a MOVED says while a question from before it is on its way', async () => {
    nodes = new Nodes();
    nodes.map.start();
    nodes.map.moved(0, { host: '10.0.0.1', port: 1 });
    nodes.says('10.0.0.1:1', 3, '10.0.0.1:1');
    await nodes.events(3);
    const answer = nodes.answers.get('10.0.0.1:1')!;
    let owner: string | undefined;
    nodes.answers.set('10.0.0.1:1', () => {
      if (owner === undefined) nodes.map.moved(7, { host: '10.0.0.1', port: 2 });
      owner ??= nodes.map.ownerOf(7);
      return answer();
    });
    nodes.map.settle(false);
    await nodes.events(2);
    expect(nodes.map.ownerOf(7)).toBe('10.0.0.1:2');
  });

  it('prefers a node that serves among answers of one epoch', async () => {
    nodes = new Nodes();
    nodes.map.start();
    nodes.map.moved(0, { host: '10.0.0.1', port: 1 });
    nodes.map.moved(1, { host: '10.0.0.1', port: 2 });
    nodes.says('10.0.0.1:1', 6, '10.0.0.1:1', 'fail');
    nodes.says('10.0.0.1:2', 6, '10.0.0.1:2');
    await nodes.events(2);
    expect(nodes.map.ownerOf(0)).toBe('10.0.0.1:2');
  });

  it('asks although news of moves never end', async () => {
    nodes = new Nodes();
    nodes.says('10.0.0.1:1', 1, '10.0.0.1:1');
    nodes.map.start();
    await nodes.events(1);
    nodes.map.moved(0, { host: '10.0.0.1', port: 1 });
    await vi.waitFor(() => expect(nodes.map.ownerOf(1)).toBeDefined(), DEADLINE_MS);
    let isAsked = false;
    const { info, shards } = nodes.answers.get('10.0.0.1:1')?.() ?? { info: '', shards: [] };
    nodes.answers.set('10.0.0.1:1', () => {
      isAsked = true;
      return { info, shards };
    });
    const news = setInterval(() => {
      nodes.map.settle(false);
      nodes.map.settle(true);
    }, 20);
    try {
      await vi.waitFor(() => expect(isAsked).toBe(true), { timeout: SOON_MS });
    } finally {
      clearInterval(news);
    }
  });

  it('asks again soon while a node says that its cluster does not serve', async () => {
    nodes = new Nodes();
    nodes.map.start();
    nodes.map.moved(0, { host: '10.0.0.1', port: 1 });
    nodes.says('10.0.0.1:1', 5, '10.0.0.1:1', 'fail');
    await nodes.events(2);
    // The links are up, so whoever uses the map is content with it.
    nodes.map.settle(true);
    const since = performance.now();
    await nodes.events(4);
    expect(performance.now() - since).toBeLessThan(SOON_MS);
  });
});
