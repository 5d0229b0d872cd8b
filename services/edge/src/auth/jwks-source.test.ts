import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  FETCH_INTERVAL_MS,
  FETCH_TIMEOUT_MS,
  type FetchKeys,
  JwksSource,
  MAX_JWKS_BYTES,
  REFRESH_MS,
  STALE_MS,
} from './jwks-source.ts';
import { createIssuer, jwkSet } from './testing/tokens.ts';

const JWKS_URL = 'https://id.example/jwks';
const SECOND = 1_000;

let first: Buffer;
let second: Buffer;
let answer: FetchKeys;
/** When each fetch began, in ms on the fake clock. */
let fetches: number[];
let told: string[];
let source: JwksSource;

beforeAll(async () => {
  first = jwkSet((await createIssuer('ES256', 'a')).jwk);
  second = jwkSet((await createIssuer('ES256', 'b')).jwk);
});

beforeEach(() => {
  vi.useFakeTimers();
  answer = async () => new Response(first);
  fetches = [];
  told = [];
  source = make();
});

function make(intervalMs?: number): JwksSource {
  const events = {
    keysFetched: (isNew: boolean) => void told.push(isNew ? 'new' : 'same'),
    keysFetchFailed: (cause: string) => void told.push(cause),
    keysEnded: () => void told.push('ended'),
  };
  const onChanged = (set: Uint8Array | undefined) =>
    void told.push(set === undefined ? 'no set' : `set of ${set.byteLength}`);
  const fetchKeys: FetchKeys = (url, options) => {
    fetches.push(performance.now());
    return answer(url, options);
  };
  return new JwksSource(JWKS_URL, events, onChanged, fetchKeys, intervalMs);
}

afterEach(async () => {
  source.stop();
  await pass(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Lets time pass, and what waits in promises happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Starts, and lets the first fetch be answered. */
async function start(): Promise<void> {
  source.start();
  await pass(0);
}

/** As an issuer that redirects, or has a fault. */
const status = (code: number) => async () =>
  new Response(first, { status: code, headers: { location: 'https://forger.example' } });

/** Never answers, as `fetch` does when it is aborted. */
const hang: FetchKeys = (_url, { signal }) =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });

/** Answers with a body that never ends. */
const trickle: FetchKeys = async (_url, { signal }) => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(first.subarray(0, 10));
      signal?.addEventListener('abort', () => controller.error(signal.reason));
    },
  });
  return new Response(body);
};

const FAULTS: readonly (readonly [string, () => FetchKeys, RegExp])[] = [
  ['answers 500', () => status(500), /^the status is 500$/],
  ['redirects', () => status(302), /^the status is 302, and no redirect is followed$/],
  ['hangs', () => hang, /^no answer within 10000 ms$/],
  ['never ends its answer', () => trickle, /^no answer within 10000 ms$/],
  ['answers with junk', () => async () => new Response('<html>'), /^a JWK set must be JSON$/],
  ['answers with nothing', () => async () => new Response(''), /^a JWK set must be JSON$/],
  ['has no keys', () => async () => new Response('{"keys":[]}'), /must have 1 to 64/],
  [
    'answers with too much',
    () => async () => new Response(Buffer.alloc(MAX_JWKS_BYTES + 1, ' ')),
    /more than 65536 bytes/,
  ],
  [
    'is not there',
    () => async () => {
      throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
    },
    /^connect ECONNREFUSED$/,
  ],
];

describe('JwksSource', () => {
  it('fetches the keys, follows no redirect, and tells of a set only when it is new', async () => {
    let options: RequestInit = {};
    answer = async (_url, given) => {
      options = given;
      return new Response(first);
    };
    expect(source.wasFetched).toBe(false);
    await start();
    expect(options.redirect).toBe('manual');
    expect(source.wasFetched).toBe(true);
    expect(Buffer.from(source.jwkSet ?? [])).toEqual(first);
    await pass(REFRESH_MS);
    answer = async () => new Response(second);
    await pass(REFRESH_MS);
    const changes = ['new', `set of ${first.length}`, 'same', 'new', `set of ${second.length}`];
    expect(told).toEqual(changes);
    expect(Buffer.from(source.jwkSet ?? [])).toEqual(second);
    expect(source.ageMs).toBeLessThan(SECOND);
  });

  it('takes the largest set that is allowed', async () => {
    answer = async () =>
      new Response(Buffer.concat([first, Buffer.alloc(MAX_JWKS_BYTES - first.length, ' ')]));
    await start();
    expect(told[0]).toBe('new');
  });

  it.each(FAULTS)(
    'goes on with the keys while the issuer %s, and says why',
    async (_w, fault, why) => {
      await start();
      answer = fault();
      await pass(REFRESH_MS + FETCH_TIMEOUT_MS);
      expect(told.at(-1)).toMatch(why);
      expect(Buffer.from(source.jwkSet ?? [])).toEqual(first);
      answer = async () => new Response(second);
      await pass(FETCH_INTERVAL_MS + FETCH_TIMEOUT_MS);
      expect(Buffer.from(source.jwkSet ?? [])).toEqual(second);
    },
  );

  it.each([['answers', () => async () => new Response(first), /same/] as const, ...FAULTS])(
    'fetches at most once in 30 s, however many tokens name unknown keys, while the issuer %s',
    async (_what, fault) => {
      await start();
      answer = fault();
      const until = performance.now() + 600 * SECOND;
      while (performance.now() < until) {
        for (let i = 0; i < 100; i += 1) source.request();
        await pass(100);
      }
      expect(fetches.length).toBeGreaterThan(15);
      expect(leastInterval()).toBeGreaterThanOrEqual(FETCH_INTERVAL_MS);
    },
  );

  it('fetches as soon as it may when a token names an unknown key, and not before', async () => {
    await start();
    await pass(10 * SECOND);
    answer = async () => new Response(second);
    source.request();
    await pass(20 * SECOND - 1);
    expect(fetches).toHaveLength(1);
    await pass(1);
    expect(Buffer.from(source.jwkSet ?? [])).toEqual(second);
    await pass(100 * SECOND);
    source.request();
    await pass(1);
    expect(fetches).toHaveLength(3);
  });

  it('control: without the interval, tokens with unknown keys make it fetch again and again', async () => {
    source = make(0);
    await start();
    for (let i = 0; i < 100; i += 1) {
      source.request();
      await pass(100);
    }
    expect(fetches.length).toBeGreaterThan(90);
    expect(leastInterval()).toBeLessThan(SECOND);
  });

  it('ends the keys after an hour without an answer, and begins again with the next one', async () => {
    await start();
    answer = status(500);
    await pass(STALE_MS - 1);
    expect(Buffer.from(source.jwkSet ?? [])).toEqual(first);
    expect(source.ageMs).toBeGreaterThan(STALE_MS - SECOND);
    await pass(1);
    expect(source.jwkSet).toBeUndefined();
    expect(told.slice(-3)).toEqual(expect.arrayContaining(['ended', 'no set']));
    answer = async () => new Response(first);
    await pass(FETCH_INTERVAL_MS);
    expect(told.slice(-2)).toEqual(['new', `set of ${first.length}`]);
    expect(Buffer.from(source.jwkSet ?? [])).toEqual(first);
  });

  it('control: keys that are fetched again and again do not end', async () => {
    await start();
    await pass(3 * STALE_MS);
    expect(told).not.toContain('ended');
    expect(fetches.length).toBeGreaterThan(30);
  });

  it('stops in the middle of a fetch, and says nothing any more', async () => {
    answer = hang;
    await start();
    source.stop();
    source.request();
    await pass(REFRESH_MS);
    expect(told).toEqual([]);
    expect(fetches).toHaveLength(1);
  });
});

function leastInterval(): number {
  return Math.min(...fetches.slice(1).map((at, i) => at - (fetches[i] as number)));
}
