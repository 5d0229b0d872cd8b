import { describe, expect, it } from 'vitest';
import type { DemoState } from '../demo/demo.ts';
import { renderFarewell, renderLine } from './plain-lines.ts';
import { toText, widthOf } from './styled-text.ts';
import { renderView, type Size } from './view.ts';

const STATE: DemoState = {
  redis: {
    url: 'redis://127.0.0.1:25509',
    origin: 'process',
    cli: 'redis-cli -p 25509',
    isFrozen: false,
  },
  trades: 'synthetic (12/s for each of 5 symbols)',
  ingestUrl: 'http://127.0.0.1:8081',
  consoleUrl: 'http://127.0.0.1:8090',
  demoUrl: 'http://127.0.0.1:8070',
  seconds: 3_725,
  published: 223_500,
  edges: ['edge-1', 'edge-2'].map((name) => ({
    name,
    wsUrl: 'ws://127.0.0.1:65535/ws',
    condition: 'ready',
    clients: 40_000,
    channels: 10_000,
    messagesPerSecond: 4_000_000,
    isDegraded: false,
    p50: 1.25,
    p99: 12_345.6,
  })),
  channels: Array.from({ length: 30 }, (_, index) => ({
    name: `COIN${index}.trade`,
    price: index === 0 ? undefined : '0.0000123456',
  })),
  ownChannels: [],
  clients: 6,
  delivered: 670_500,
  deliveryRates: Array.from({ length: 120 }, (_, index) => index),
  outOfOrder: 0,
  duplicates: 0,
  missing: 0,
  moves: 0,
  recovered: 0,
  events: Array.from({ length: 50 }, (_, index) => ({
    seconds: index,
    tone: 'plain',
    text: `event ${index} ${'x'.repeat(200)}`,
  })),
  problem: `ingest did not answer: ${'x'.repeat(200)}`,
};

const SIZES: readonly Size[] = [
  { columns: 20, rows: 4 },
  { columns: 60, rows: 20 },
  { columns: 80, rows: 24 },
  { columns: 109, rows: 30 },
  { columns: 160, rows: 50 },
  { columns: 400, rows: 200 },
];

const NORMAL: Size = { columns: 80, rows: 24 };

function textOf(state: DemoState, size: Size = NORMAL, hasKeys = true): string {
  const lines = renderView(state, size, hasKeys).map((line) => toText(line, false));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

describe('renderView', () => {
  it.each(SIZES)('fits $columns by $rows, whatever it has to show', (size) => {
    const ownChannels = [{ name: 'hello', text: '{"price":"1"}'.repeat(20) }];
    for (const state of [STATE, { ...STATE, ownChannels, problem: undefined }]) {
      const lines = renderView(state, size, true);
      expect(lines.length).toBeLessThanOrEqual(size.rows);
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(size.columns);
      const last = lines.at(-1);
      expect(last === undefined ? '' : toText(last, false)).toMatch(/^ k {2}kill/);
    }
  });

  it('uses what room there is', () => {
    const quiet = { ...STATE, problem: undefined };
    expect(textOf(quiet, { columns: 160, rows: 50 })).toContain('event 40');
    expect(textOf(quiet, { columns: 160, rows: 50 })).toContain('DELIVERIES IN EACH SECOND');
    expect(textOf(quiet, { columns: 60, rows: 20 })).toContain('event 49');
  });

  it('gives lines to publish and to subscribe that are whole', () => {
    const text = textOf(STATE, { columns: 160, rows: 50 });
    expect(text).toContain('$ export REDIS_URL=redis://127.0.0.1:25509\n');
    expect(text).toContain(`$ npx tradewind pub hello '{"price":"1"}'\n`);
    expect(text).toContain('$ npx tradewind sub COIN0.trade --edge ws://127.0.0.1:65535/ws\n');
    expect(text).toContain(`$ curl -d '{"price":"1"}' http://127.0.0.1:8081/v1/channels/hello\n`);
    const narrow = textOf({ ...STATE, problem: undefined }, { columns: 60, rows: 60 });
    expect(narrow).toContain('pub hello');
    expect(narrow, 'a command that does not fit is left out').not.toContain('curl');
  });

  it('shows no password of a given Redis', () => {
    const url = 'redis://:secret@10.0.0.5:6379';
    const redis = { ...STATE.redis, url, origin: 'environment' } as const;
    const text = textOf({ ...STATE, redis }, { columns: 160, rows: 50 });
    expect(text).not.toContain('secret');
    expect(text).not.toContain('export');
  });

  it('says in green that nothing is lost, and in red what is', () => {
    const [, , good] = renderView(STATE, NORMAL, true);
    const numbers = '223,500 published   0 lost   0 doubled   0 out of order';
    expect(good).toEqual([{ text: `✓ ${numbers}`, style: 'good' }]);
    const [, , bad] = renderView({ ...STATE, missing: 2 }, NORMAL, true);
    expect(bad?.[0]).toMatchObject({ text: expect.stringContaining('2 lost'), style: 'bad' });
    expect(renderLine({ ...STATE, missing: 2 })).toContain('missing 2');
  });

  it('shows what nodes and Redis are doing, and that clients moved', () => {
    const [one, two] = STATE.edges as [(typeof STATE.edges)[0], (typeof STATE.edges)[0]];
    const edges = [{ ...one, condition: 'down' } as const, two];
    const redis = { ...STATE.redis, isFrozen: true };
    const text = textOf({ ...STATE, edges, redis, moves: 3, recovered: 28 });
    expect(text).toMatch(/edge-1 +■ down/);
    expect(text).toMatch(/edge-2 +● ready/);
    expect(text).toMatch(/redis +■ frozen/);
    expect(text).toContain('28 recovered in 3 moves');
    const cutOff = [one, { ...two, isDegraded: true }];
    expect(textOf({ ...STATE, edges: cutOff })).toMatch(/edge-2 +▲ degraded/);
  });

  it('shows the channels of the user, and lets nothing in them move the cursor', () => {
    const ownChannels = [{ name: 'hello', text: '"\u001b[2J\u009b1A界"' }];
    const text = textOf({ ...STATE, ownChannels });
    expect(text).toContain('hello "·[2J·1A·"  yours');
  });

  it('names its keys only where it reads them', () => {
    expect(textOf(STATE, NORMAL, false)).toContain('Ctrl-C ends everything');
    expect(textOf(STATE, NORMAL, false)).not.toContain('kill');
  });
});

it('leaves one line behind', () => {
  expect(renderFarewell({ ...STATE, moves: 3, recovered: 28 })).toBe(
    'Tradewind ran for 62:05: ✓ 223,500 published, 0 lost, 0 doubled, 0 out of order, 28 recovered in 3 moves',
  );
});
