import { describe, expect, it } from 'vitest';
import { type Rights, rightsTo } from '../auth/rights.ts';
import type { Identity, Refusal } from '../auth/token-verifier.ts';
import type { FanOutSettings } from './fan-out-settings.ts';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { FanOutServer } from './testing/fan-out-server.ts';
import type { RawClient } from './testing/raw-client.ts';

const LIFE_MS = 600_000;
const ONLY_A = rightsTo((channel) => channel === 'a');
const BOTH = rightsTo((channel) => channel === 'a' || channel === 'b');

/** The verdict of a verifier for a token that names it. */
const ANSWERS: Readonly<Record<string, () => Identity | Refusal>> = {
  both: () => identity('u1', BOTH),
  onlyA: () => identity('u1', ONLY_A),
  other: () => identity('u2', BOTH),
  slowRequests: () => identity('u1', { ...BOTH, requestsPerSecond: 10 }),
  noHistory: () => identity('u1', { ...BOTH, allowsHistory: () => false }),
  oneChannel: () => identity('u1', { ...BOTH, maxChannels: 1, maxHistory: 5 }),
  short: () => ({ ...identity('u1', BOTH), expiresAt: Date.now() + 1_000 }),
  ended: () => ({ ...identity('u1', BOTH), expiresAt: Date.now() }),
  forged: () => ({ code: 'unauthorized', cause: 'signature' }),
  late: () => ({ code: 'token_expired', cause: 'expired' }),
  busy: () => ({ code: 'rate_limited', cause: 'busy' }),
  noKeys: () => ({ code: 'unavailable', cause: 'no_keys' }),
};

const TOKENS: FanOutSettings['tokens'] = {
  verify: async (token) => (ANSWERS[token] as () => Identity | Refusal)(),
};

// Side by side, because many wait for the end of a connection that the client does not confirm.
describe.concurrent('a node that asks for tokens', { timeout: TIMEOUT_MS }, () => {
  it('answers any other request with auth_required, and serves a client once it is known', async () => {
    await using server = await start();
    const client = await server.client();
    expect(server.fanOut.unidentified).toBe(1);
    client.request({ type: 'subscribe', id: 1, channels: ['a'] });
    client.request({ type: 'ping', id: 2 });
    await until(() => client.controls('error').length === 2, 'both errors');
    expect(client.controls('error')).toMatchObject([
      { id: 1, code: 'auth_required', retryable: false },
      { id: 2, code: 'auth_required' },
    ]);
    expect(server.upstream.calls).toEqual([]);
    await authenticate(client, 'both');
    expect(client.controls('authenticated')[0]).toMatchObject({ id: 'both', subject: 'u1' });
    expect(client.controls('authenticated')[0]?.expiresInMs).toBeGreaterThan(LIFE_MS - 30_000);
    expect(server.fanOut.unidentified).toBe(0);
    await subscribe(server, client, ['a', 'c']);
    expect(client.controls('subscribed').at(-1)?.channels).toMatchObject([{ channel: 'a' }]);
    expect(rejectedOf(client)).toEqual([{ channel: 'c', code: 'channel_not_allowed' }]);
  });

  it('control: a node that asks nobody says so, and serves at once', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    client.request({ type: 'auth', id: 1, token: 'both' });
    await until(() => client.controls('error').length === 1, 'the error');
    expect(client.controls('error')[0]).toMatchObject({ id: 1, code: 'not_available' });
    expect(server.fanOut.unidentified).toBe(0);
  });

  it.each([
    ['forged', 'unauthorized', 4401],
    ['late', 'token_expired', 4402],
  ])('tells why a first token is refused, and closes: %s', async (token, code, closeCode) => {
    await using server = await start();
    const client = await server.client();
    client.request({ type: 'auth', id: 1, token });
    await until(() => client.closeCode !== undefined, 'the close');
    expect(client.controls('error')).toMatchObject([{ id: 1, code }]);
    expect(client.closeCode).toBe(closeCode);
    await until(() => server.fanOut.unidentified === 0, 'its end');
  });

  it('closes a client without blame if it lacks the keys to verify the token, and keeps other clients', async () => {
    await using server = await start();
    const [client, connected] = [await server.client(), await server.client()];
    await authenticate(connected, 'both');
    for (const each of [client, connected]) {
      each.request({ type: 'auth', id: 1, token: 'noKeys' });
      await until(() => each.controls('error').length === 1, 'the error');
      expect(each.controls('error')[0]).toMatchObject({ code: 'unavailable', retryable: true });
    }
    await until(() => client.closeCode !== undefined, 'the close');
    expect(client.closeCode).toBe(1011);
    await authenticate(connected, 'onlyA');
  });

  it('lets a client try again whose token could not be verified now', async () => {
    await using server = await start();
    const client = await server.client();
    client.request({ type: 'auth', id: 1, token: 'busy' });
    await until(() => client.controls('error').length === 1, 'the error');
    expect(client.controls('error')[0]).toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 1_000,
    });
    await authenticate(client, 'both');
  });

  it('closes with 4401 after 5 s, and counts the client until then', async () => {
    await using server = await start();
    const client = await server.client();
    const control = await server.client();
    await authenticate(control, 'both');
    await until(() => client.closeCode !== undefined, 'the close');
    expect(client.closeCode).toBe(4401);
    expect(control.closeCode).toBeUndefined();
    await until(() => server.fanOut.unidentified === 0, 'its end');
  });

  it('takes channels beyond narrower rights before their next publication, and no others', async () => {
    await using server = await start();
    const client = await server.client();
    await authenticate(client, 'both');
    await subscribe(server, client, ['a', 'b']);
    client.request({ type: 'auth', id: 'onlyA', token: 'onlyA' });
    const publishing = setInterval(() => {
      server.upstream.publish('a', 1);
      server.upstream.publish('b', 2);
    }, 1);
    await until(() => client.controls('unsubscribed').length === 1, 'the loss');
    const at = client.messages.findIndex(({ type }) => type === 'unsubscribed');
    await until(() => client.messages.length > at + 20, 'more publications');
    clearInterval(publishing);
    expect(client.controls('unsubscribed')).toEqual([
      { type: 'unsubscribed', channels: ['b'], reason: 'channel_not_allowed' },
    ]);
    const later = client.messages.slice(at + 1).filter((message) => !('type' in message));
    expect(new Set(later.map(({ channel }) => channel))).toEqual(new Set(['a']));
    await until(() => !server.upstream.wanted.has('b'), 'the end of the interest');
  });

  it('rejects what a client waits for when its rights become narrower', async () => {
    await using server = await start();
    const client = await server.client();
    await authenticate(client, 'both');
    client.request({ type: 'subscribe', id: 1, channels: ['b'] });
    await until(() => server.upstream.wanted.has('b'), 'the interest');
    await authenticate(client, 'onlyA');
    expect(rejectedOf(client)).toEqual([{ channel: 'b', code: 'channel_not_allowed' }]);
    expect(server.upstream.wanted.has('b')).toBe(false);
  });

  it('keeps a connection whose new token is refused, or is for another subject', async () => {
    await using server = await start();
    const client = await server.client();
    await authenticate(client, 'both');
    await subscribe(server, client, ['a']);
    for (const token of ['forged', 'other', 'late'])
      client.request({ type: 'auth', id: token, token });
    await until(() => client.controls('error').length === 3, 'the errors');
    const codes = client.controls('error').map(({ code }) => code);
    expect(codes.filter((code) => code !== 'rate_limited')).not.toEqual([]);
    server.upstream.publish('a', 1);
    await until(() => client.publications.length === 1, 'the publication');
    expect(client.closeCode).toBeUndefined();
    client.request({ type: 'auth', id: 'again', token: 'other' });
    await until(() => client.controls('error').length === 4, 'the error');
    expect(client.controls('error').at(-1)).toMatchObject({ id: 'again', code: 'unauthorized' });
    expect(server.events.causes.at(-1)).toBe('subject');
  });

  it('gives a client without the right to it nothing of the past, and says why', async () => {
    await using server = await start({ logBytes: 1_000_000 });
    const client = await server.client();
    await authenticate(client, 'noHistory');
    client.request({ type: 'subscribe', id: 1, channels: [{ channel: 'a', history: 5 }, 'b'] });
    await until(() => server.upstream.wanted.size === 2, 'the interest');
    server.upstream.acknowledge(['a', 'b'], { epoch: 'e', offset: 9 });
    await until(
      () => client.controls('subscribed').some(({ done }) => done === true),
      'the answer',
    );
    expect(client.controls('subscribed').flatMap(({ channels }) => channels)).toEqual([
      expect.objectContaining({ channel: 'a', recovered: false, reason: 'history_not_allowed' }),
      expect.not.objectContaining({ recovered: expect.anything() }),
    ]);
  });

  it('gives nothing of the past to a client whose right to it ended while it waited', async () => {
    await using server = await start({ logBytes: 1_000_000 });
    const client = await server.client();
    await authenticate(client, 'both');
    client.request({ type: 'subscribe', id: 1, channels: [{ channel: 'a', history: 5 }] });
    await until(() => server.upstream.wanted.size === 1, 'the interest');
    await authenticate(client, 'noHistory');
    server.upstream.acknowledge(['a'], { epoch: 'e', offset: 9 });
    await until(() => client.controls('subscribed').length === 1, 'the answer');
    expect(client.controls('subscribed').flatMap(({ channels }) => channels)).toEqual([
      expect.objectContaining({ channel: 'a', recovered: false, reason: 'history_not_allowed' }),
    ]);
  });

  it('holds a client to the limits of its token', async () => {
    await using server = await start();
    const client = await server.client();
    await authenticate(client, 'oneChannel');
    client.request({ type: 'subscribe', id: 0, channels: [{ channel: 'a', history: 6 }] });
    await until(() => rejectedOf(client).length === 1, 'the rejection');
    await subscribe(server, client, ['a', 'b']);
    expect(rejectedOf(client)).toEqual([
      { channel: 'a', code: 'bad_history' },
      { channel: 'b', code: 'too_many_channels' },
    ]);
  });

  it('holds a client to the rate of requests of its token, and a refresh earns nothing', async () => {
    const requestRate = { perSecond: 1_000, burst: 1_000 };
    await using server = await start({ requestRate });
    const client = await server.client();
    await authenticate(client, 'slowRequests');
    for (let i = 0; i < 5; i += 1) client.request({ type: 'ping', id: i });
    client.request({ type: 'auth', id: 'again', token: 'slowRequests' });
    for (let i = 0; i < 20; i += 1) client.request({ type: 'ping', id: i });
    await until(() => client.controls('error').length > 0, 'a refusal');
    await until(
      () => client.controls('pong').length + client.controls('error').length === 25,
      'all answers',
    );
    // Ten at once, one of which is the new token, and what a busy machine lets it earn meanwhile.
    expect(client.controls('pong').length).toBeLessThanOrEqual(15);
    expect(client.controls('error')[0]).toMatchObject({ code: 'rate_limited' });

    const wide = await server.client();
    await authenticate(wide, 'other');
    for (let i = 0; i < 25; i += 1) wide.request({ type: 'ping', id: i });
    await until(() => wide.controls('pong').length === 25, 'control: all answers');
  });

  it('tells that a token ends, refuses new channels after it, and closes with 4402', async () => {
    await using server = await start();
    const client = await server.client();
    await authenticate(client, 'short');
    await subscribe(server, client, ['a']);
    await until(() => client.controls('expiring').length === 1, 'the notice');
    expect(client.controls('expiring')[0]).toMatchObject({ graceMs: expect.any(Number) });
    await until(() => client.closeCode !== undefined, 'the close');
    expect(client.closeCode).toBe(4402);
  });

  it('closes every connection whose token is revoked, sends nothing more to it, and keeps the others', async () => {
    await using server = await start();
    const clients = await Promise.all([1, 2, 3, 4].map(() => server.client()));
    const [first, second, other, unknown] = clients as [RawClient, RawClient, RawClient, RawClient];
    for (const client of [first, second]) await authenticate(client, 'both');
    await authenticate(other, 'other');
    for (const client of [first, second, other]) await subscribe(server, client, ['a']);
    server.upstream.publish('a', 1);
    await until(() => first.publications.length === 1, 'the publication before');
    const ended = server.fanOut.endRevoked(({ subject }) => subject === 'u1');
    server.upstream.publish('a', 2);
    await ended;
    await until(() => first.closeCode !== undefined && second.closeCode !== undefined, 'the ends');
    expect([first.closeCode, second.closeCode]).toEqual([4401, 4401]);
    await until(() => other.publications.length === 2, 'the publication after');
    expect([first, second].map(({ publications }) => publications.length)).toEqual([1, 1]);
    expect([other, unknown].map(({ closeCode }) => closeCode)).toEqual([undefined, undefined]);
    expect(server.events.revoked).toHaveLength(2);
    await until(() => server.fanOut.connections.size === 2, 'their ends');
  });

  it('looks at everyone again for what is revoked while it looks', async () => {
    await using server = await start();
    const clients = await Promise.all([server.client(), server.client()]);
    const [early, late] = clients as [RawClient, RawClient];
    await authenticate(early, 'both');
    await authenticate(late, 'other');
    const revoked = new Set<string>();
    const looked: string[] = [];
    const isRevoked = ({ subject }: Identity): boolean => {
      looked.push(subject);
      // While it looks at the second one, the first one is revoked.
      if (subject === 'u2' && revoked.size === 0) {
        revoked.add('u1');
        void server.fanOut.endRevoked(isRevoked);
      }
      return revoked.has(subject);
    };
    await server.fanOut.endRevoked(isRevoked);
    await until(() => early.closeCode !== undefined, 'the end');
    expect(looked.slice(0, 2)).toEqual(['u1', 'u2']);
    expect(late.closeCode).toBeUndefined();
  });

  it('refuses to subscribe with a token that has ended', async () => {
    await using server = await start();
    const client = await server.client();
    client.cork();
    client.request({ type: 'auth', id: 1, token: 'ended' });
    client.uncork();
    await until(() => client.controls('authenticated').length === 1, 'the identity');
    client.request({ type: 'subscribe', id: 2, channels: ['a'] });
    await until(() => client.closeCode !== undefined, 'the close');
    expect(client.closeCode).toBe(4402);
    expect(server.upstream.calls).toEqual([]);
  });
});

describe.concurrent('the limits of one subject', { timeout: TIMEOUT_MS }, () => {
  const UNLIMITED = { connections: 1_000, plain: 0, rates: {} };

  it('hold for its connections, and not for those of another', async () => {
    await using server = await start({ subjectLimits: { ...UNLIMITED, connections: 2 } });
    const [first, second, third] = [
      await server.client(),
      await server.client(),
      await server.client(),
    ];
    await authenticate(first, 'both');
    await authenticate(second, 'both');
    third.request({ type: 'auth', id: 1, token: 'both' });
    await until(() => third.closeCode !== undefined, 'the close');
    expect(third.controls('error')).toMatchObject([{ id: 1, code: 'rate_limited' }]);
    expect(third.closeCode).toBe(4029);
    expect(server.events.beyond).toEqual([['subject_connections', true]]);
    await authenticate(await server.client(), 'other');
    // A new token of a client that is connected is no further connection.
    await authenticate(second, 'onlyA');
    await until(() => server.fanOut.connections.size === 3, 'its end');
    first.destroy();
    await until(() => server.fanOut.connections.size === 2, 'the end of another one');
    await authenticate(await server.client(), 'both');
  });

  it('hold for the requests of all its connections together', async () => {
    const rates = { requests: { perSecond: 1, burst: 10 } };
    await using server = await start({ subjectLimits: { ...UNLIMITED, rates } });
    const [first, second, other] = [
      await server.client(),
      await server.client(),
      await server.client(),
    ];
    await authenticate(first, 'both');
    await authenticate(second, 'both');
    await authenticate(other, 'other');
    for (const client of [first, second, other]) {
      for (let i = 0; i < 8; i += 1) client.request({ type: 'ping', id: i });
    }
    const count = (type: string) => countOf([first, second], type);
    await until(() => count('pong') + count('error') === 16, 'all answers');
    await until(() => other.controls('pong').length === 8, 'the other one’s answers');
    expect(count('error')).toBeGreaterThanOrEqual(4);
    const [refused] = [...first.controls('error'), ...second.controls('error')];
    expect(refused).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(refused?.retryAfterMs).toBeGreaterThan(0);
    expect(server.events.beyond).toContainEqual(['subject_requests', true]);
  });

  it('are only counted where budgets are not enforced, but for its connections', async () => {
    const rates = { requests: { perSecond: 1, burst: 1 } };
    const limits = { subjectLimits: { ...UNLIMITED, rates }, enforcesRates: false };
    await using server = await start(limits);
    const client = await server.client();
    await authenticate(client, 'both');
    for (let i = 0; i < 8; i += 1) client.request({ type: 'ping', id: i });
    await until(() => client.controls('pong').length === 8, 'all answers');
    expect(server.events.beyond).toContainEqual(['subject_requests', false]);
  });
});

function countOf(clients: readonly RawClient[], type: string): number {
  return clients.reduce((sum, client) => sum + client.controls(type).length, 0);
}

function identity(subject: string, rights: Rights): Identity {
  const expiresAt = Date.now() + LIFE_MS;
  return { subject, tokenId: undefined, issuedAt: 0, expiresAt, rights };
}

function start(changes: Partial<FanOutSettings> = {}): Promise<FanOutServer> {
  return FanOutServer.start({ tokens: TOKENS, ...changes });
}

async function authenticate(client: RawClient, token: string): Promise<void> {
  client.request({ type: 'auth', id: token, token });
  await until(
    () => client.controls('authenticated').some(({ id }) => id === token),
    `authenticated with ${token}`,
  );
}

async function subscribe(
  server: FanOutServer,
  client: RawClient,
  channels: readonly string[],
): Promise<void> {
  const subscribed = client.subscribe(channels);
  const acknowledging = setInterval(() => server.upstream.acknowledge(), 1);
  await subscribed.finally(() => clearInterval(acknowledging));
}

function rejectedOf(client: RawClient): unknown[] {
  return client.controls('subscribed').flatMap(({ rejected }) => rejected ?? []);
}
