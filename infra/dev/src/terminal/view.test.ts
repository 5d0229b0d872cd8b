import { describe, expect, it } from 'vitest';
import type { DemoState } from './demo.ts';
import { renderLine, renderView } from './view.ts';

const STATE: DemoState = {
  redis: {
    url: 'redis://127.0.0.1:25509',
    origin: 'process',
    cli: 'redis-cli -p 25509',
  },
  trades: 'synthetic (12/s for each of 5 symbols)',
  ingestUrl: 'http://127.0.0.1:8081',
  consoleUrl: 'http://127.0.0.1:8090',
  seconds: 3_725,
  published: 223_500,
  edges: ['edge-1', 'edge-2'].map((name) => ({
    name,
    wsUrl: 'ws://127.0.0.1:65535/ws',
    clients: 40_000,
    channels: 10_000,
    messagesPerSecond: 4_000_000,
    p50: 1.25,
    p99: 12_345.6,
  })),
  channels: Array.from({ length: 30 }, (_, index) => ({
    name: `COIN${index}.trade`,
    price: index === 0 ? undefined : '0.0000123456',
  })),
  delivered: 670_500,
  outOfOrder: 0,
  duplicates: 0,
  missing: 0,
  problem: `ingest did not answer: ${'x'.repeat(200)}`,
};

describe('renderView', () => {
  it('fits a terminal of 80 by 24, whatever it has to show', () => {
    const lines = renderView(STATE);
    expect(lines.length).toBeLessThanOrEqual(24);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('gives lines to publish and to subscribe that are whole', () => {
    const text = renderView(STATE).join('\n');
    expect(text).toContain('export REDIS_URL=redis://127.0.0.1:25509\n');
    expect(text).toContain(`npx tradewind pub COIN0.trade '{"price":"1"}'\n`);
    expect(text).toContain('npx tradewind sub COIN0.trade --edge ws://127.0.0.1:65535/ws\n');
    expect(text).toContain('npx tradewind channel COIN0.trade\n');
    expect(text).toContain(`curl -d '{"price":"1"}' http://127.0.0.1:8081/v1/channels/COIN0.trade`);
  });

  it('shows no password of a given Redis', () => {
    const url = 'redis://:secret@10.0.0.5:6379';
    const redis = { ...STATE.redis, url, origin: 'environment' } as const;
    const text = renderView({ ...STATE, redis }).join('\n');
    expect(text).not.toContain('secret');
    expect(text).not.toContain('export');
  });

  it('says what is wrong', () => {
    expect(renderView(STATE).join('\n')).toContain('each once and in order');
    expect(renderView({ ...STATE, missing: 2 }).join('\n')).toContain('missing 2');
    expect(renderLine({ ...STATE, missing: 2 })).toContain('missing 2');
  });
});
