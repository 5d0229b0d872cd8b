import { checkRedisUrl } from '@tradewind/bus';
import { ConfigError, readConfig } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { type IngestConfig, readIngestConfig } from './config.ts';

describe('readIngestConfig', () => {
  it('needs nothing to be set on loopback', () => {
    const config = read({});
    expect(config.service.port).toBe(8_081);
    expect(config.service.adminPort).toBe(9_081);
    expect(config.tokens).toEqual([]);
    expect(config.drainMs).toBe(15_000);
    expect(config.drainAcceptMs).toBe(5_000);
    expect(config.queue).toEqual({ maxItems: 10_000, maxBytes: 16_777_216 });
    expect(config.publishing).toEqual({
      historySize: 1_000,
      historyTtlMs: 600_000,
      idempotencyWindowMs: 600_000,
      maxAgeMs: 5_000,
    });
    expect(config.limits).toEqual({
      maxBodyBytes: 1_048_576,
      maxItems: 1_000,
      maxPublicationBytes: 65_536,
      maxInFlight: 64,
      maxInFlightPerToken: 32,
      publicationsPerSecond: 10_000,
    });
  });

  it('wants tokens where others can reach it', () => {
    expect(mistakesOf({ HOST: '0.0.0.0' })).toEqual([
      'INGEST_TOKENS_FILE: must be set when HOST ("0.0.0.0") is not loopback',
    ]);
    expect(read({ HOST: '0.0.0.0', INGEST_TOKENS: 'one,two' }).tokens).toEqual(['one', 'two']);
  });

  it('points at a token that no header can carry without showing it', () => {
    expect(mistakesOf({ INGEST_TOKENS: 'fine,not fine,gut=,schlüssel' })).toEqual([
      'INGEST_TOKENS: token 2 has characters no header can carry',
      'INGEST_TOKENS: token 4 has characters no header can carry',
    ]);
  });

  it('does not promise payloads that no body can hold', () => {
    expect(mistakesOf({ INGEST_MAX_BODY_BYTES: '2048' })).toEqual([
      'INGEST_MAX_PUBLICATION_BYTES: must not be larger than INGEST_MAX_BODY_BYTES (2048)',
    ]);
  });

  it.each([
    [
      { INGEST_QUEUE_ITEMS: '999' },
      'INGEST_QUEUE_ITEMS: 999 must not be less than INGEST_MAX_ITEMS (1000)',
    ],
    [
      { INGEST_QUEUE_BYTES: '2048' },
      'INGEST_QUEUE_BYTES: 2048 must not be less than INGEST_MAX_BODY_BYTES (1048576)',
    ],
    [
      { INGEST_QUEUE_ITEMS: '1999', REDIS_MODE: 'cluster' },
      'INGEST_QUEUE_ITEMS: 1999 must not be less than INGEST_MAX_ITEMS (1000), divided by the share of one shard (0.5)',
    ],
    [
      { INGEST_IDEMPOTENCY_SECONDS: '4' },
      'INGEST_IDEMPOTENCY_SECONDS: 4 must be 0 or at least INGEST_MAX_AGE_MS (5000 ms)',
    ],
    [{ DRAIN_SECONDS: '4' }, 'DRAIN_ACCEPT_SECONDS: 5 must not be more than DRAIN_SECONDS (4)'],
  ])('finds settings that contradict each other: %j', (environment, mistake) => {
    expect(mistakesOf(environment)).toEqual([mistake]);
  });

  it('lets keys, history and the age limit be switched off', () => {
    const { publishing } = read({
      INGEST_HISTORY_SIZE: '0',
      INGEST_HISTORY_SECONDS: '0',
      INGEST_IDEMPOTENCY_SECONDS: '0',
      INGEST_MAX_AGE_MS: '0',
    });
    expect(new Set(Object.values(publishing))).toEqual(new Set([0]));
  });

  it.each(['redis://u:%zz@h', 'redis://h/main', 'localhost:6379', 'redis://'])(
    'finds what the bus would throw at later in the REDIS_URL %s',
    (url) => {
      expect(mistakesOf({ REDIS_URL: url })).toEqual([
        expect.stringContaining(checkRedisUrl(url) ?? 'accepted'),
      ]);
    },
  );

  it('tells all mistakes at once', () => {
    expect(
      mistakesOf({ PORT: 'x', REDIS_URL: 'http://x', INGEST_MAX_ITEMS: '0', DRAIN_SECONDS: '-1' }),
    ).toHaveLength(4);
  });
});

function read(environment: Record<string, string>): IngestConfig {
  return readConfig(environment, readIngestConfig);
}

function mistakesOf(environment: Record<string, string>): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}
