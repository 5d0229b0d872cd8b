import { expect, it } from 'vitest';
import { rightsTo } from '../auth/rights.ts';
import { TIMEOUT_MS, until } from '../clients/testing/deadline.ts';
import { FanOutServer } from '../clients/testing/fan-out-server.ts';
import { addSessionLists, LISTED_SESSIONS, listSessions } from './session-list.ts';

const LIFE_MS = 600_000;

it('lists the sessions of one subject, and nobody else', { timeout: TIMEOUT_MS }, async () => {
  const expiresAt = Date.now() + LIFE_MS;
  await using server = await FanOutServer.start({
    tokens: {
      // A token is its subject and its id.
      verify: async (token) => {
        const [subject = '', tokenId] = token.split(' ');
        return { subject, tokenId, issuedAt: 0, expiresAt, rights: rightsTo(() => true) };
      },
    },
  });
  const before = Date.now();
  const clients = await Promise.all([1, 2, 3, 4].map(() => server.client()));
  for (const [i, token] of ['u1 j1', 'u1', 'u2 j3'].entries()) {
    clients[i]?.request({ type: 'auth', token });
  }
  await until(() => server.events.identifications === 3, 'the identities');
  const subscribed = clients[0]?.subscribe(['a', 'b']);
  const acknowledging = setInterval(() => server.upstream.acknowledge(), 1);
  await subscribed?.finally(() => clearInterval(acknowledging));
  const { total, sessions } = await listSessions(server.fanOut, 'u1');
  expect(total).toBe(2);
  const [first, second] = sessions.toSorted((a, b) => b.channels - a.channels);
  expect(first).toEqual({
    session: clients[0]?.controls('welcome')[0]?.session,
    ...{ tokenId: 'j1', expiresAt, channels: 2, since: expect.any(Number) },
    address: expect.any(String),
  });
  expect(first?.since).toBeGreaterThanOrEqual(before);
  expect(second).toMatchObject({ tokenId: null, channels: 0 });
  expect(await listSessions(server.fanOut, 'nobody')).toEqual({ total: 0, sessions: [] });
});

it('adds up workers, and names a bounded number', () => {
  const session = {
    ...{ session: 's', address: '', tokenId: null },
    since: 0,
    expiresAt: 0,
    channels: 0,
  };
  const list = { total: 2_000, sessions: Array.from({ length: LISTED_SESSIONS }, () => session) };
  const sum = addSessionLists([list, list]);
  expect(sum.total).toBe(4_000);
  expect(sum.sessions).toHaveLength(LISTED_SESSIONS);
});
