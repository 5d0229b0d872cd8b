import { describe, expect, it } from 'vitest';
import type { Identity } from '../../auth/token-verifier.ts';
import type { Session } from '../session/session.ts';
import { publicationOf } from '../testing/fake-upstream.ts';
import { createTestConnection, type TestConnection } from '../testing/test-connection.ts';
import { RevokedSessions } from './revoked-sessions.ts';

/** One write for each of these. */
const LARGE = 'x'.repeat(20 * 1024);

/** A client with this subject whose socket takes nothing now, and for whom ten publications wait. */
function stalledClient(subject: string) {
  const client = createTestConnection({ mustIdentify: true });
  const { connection, sink } = client;
  const { rights } = connection.session;
  const now = Date.now();
  const identity: Identity = {
    ...{ subject, tokenId: undefined, issuedAt: 0, expiresAt: now + 60_000, rights },
  };
  connection.session.identity?.accept(identity, now);
  sink.stalled = true;
  for (let i = 0; i < 10; i += 1) connection.outbox.offer(publicationOf('a', LARGE), 0);
  connection.flush();
  return client;
}

describe('RevokedSessions', () => {
  it('drops what waits, also for a client that is sent away while the node drains', async () => {
    const clients = ['u1', 'u1', 'u2'].map(stalledClient);
    const told: Session[] = [];
    const [open, leaving, other] = clients as [TestConnection, TestConnection, TestConnection];
    for (const { connection } of [leaving, other]) connection.finish('draining');
    const sessions = new RevokedSessions(
      clients.map(({ connection }) => connection),
      (session) => told.push(session),
    );
    await sessions.end(({ subject }) => subject === 'u1');
    await sessions.end(({ subject }) => subject === 'u1');
    expect(told).toEqual([open, leaving].map(({ connection }) => connection.session));
    expect(open.webSocket.closes).toEqual([{ code: 4401, reason: 'unauthorized' }]);
    // It was told before that the node drains. Its token is refused wherever it comes next.
    expect(leaving.webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
    expect(other.webSocket.closes).toEqual([]);
    for (const { sink } of clients) sink.drain();
    expect(open.sink.frames.length).toBeLessThan(10);
    expect(leaving.sink.frames.length).toBeLessThan(10);
    expect(other.sink.frames).toHaveLength(10);
  });
});
