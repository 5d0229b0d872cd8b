import { createLogger, SECURITY_LOG_RATE } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { rightsTo } from '../auth/rights.ts';
import { Session } from '../clients/session/session.ts';
import { AttendedTime } from '../clients/time/attended-time.ts';
import { SecurityLog } from './security-log.ts';

const PEER = { address: '192.0.2.1', origin: 'https://app.example' };
const LIMITS = {
  requestRate: { perSecond: 1, burst: 1 },
  subscribeRate: { perSecond: 1, burst: 1 },
  silentSeconds: 60,
  liveness: { pingAfterBeats: 1_200, deadAfterBeats: 1_200 },
};

function sessionOf(id: string): Session {
  const rights = rightsTo(() => true);
  const parts = { id, ...PEER, rights, mustIdentify: true, limits: LIMITS };
  return new Session({ ...parts, time: new AttendedTime(0), phase: 0, now: 0 });
}

function setUp() {
  const written: string[] = [];
  const clock = { now: 0 };
  const destination = { write: (line: string) => void written.push(line) };
  const logger = createLogger({ name: 'edge', level: 'info', destination });
  return {
    log: new SecurityLog(logger, () => clock.now),
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
    written,
    clock,
  };
}

describe('SecurityLog', () => {
  it('tells who came, from where, and why they left', () => {
    const { log, lines } = setUp();
    const session = sessionOf('s1');
    log.connected(session);
    log.tokenRefused({ code: 'unauthorized', cause: 'signature' }, session);
    const expiresAt = Date.now() + 60_000;
    const token = { subject: 'u1', tokenId: undefined, issuedAt: 0 };
    session.identity?.accept({ ...token, expiresAt, rights: session.rights }, Date.now());
    log.identified(session, true);
    log.identified(session, false);
    log.revoked(session);
    log.closed(session, 'token_expired');
    log.handshakeRejected('origin_not_allowed', PEER);
    const who = { log: 'security', level: 'info', ...PEER };
    const known = { ...who, session: 's1', subject: 'u1' };
    expect(lines()).toMatchObject([
      { ...who, msg: 'client_connected', session: 's1' },
      { ...who, msg: 'token_refused_signature', session: 's1', code: 'unauthorized' },
      { ...known, msg: 'client_identified' },
      { ...known, msg: 'client_refreshed' },
      { ...known, msg: 'session_revoked' },
      { ...known, msg: 'client_closed', reason: 'token_expired' },
      { ...who, msg: 'handshake_rejected_origin_not_allowed' },
    ]);
    expect(lines()[1]).not.toHaveProperty('subject');
  });

  it('writes a bounded number of lines when 10,000 clients come at once, and tells how many they stand for', () => {
    const { log, lines, clock } = setUp();
    for (let n = 0; n < 10_000; n += 1) log.connected(sessionOf(`s${n}`));
    expect(lines()).toHaveLength(SECURITY_LOG_RATE.burst);
    clock.now = 60_000;
    log.connected(sessionOf('late'));
    expect(lines().at(-1)).toMatchObject({ suppressed: 10_000 - SECURITY_LOG_RATE.burst });
  });

  it('shows a refusal in the middle of a flood of others', () => {
    const { log, lines } = setUp();
    const session = sessionOf('s1');
    for (let n = 0; n < 10_000; n += 1) log.handshakeRejected('rate_limited', PEER);
    log.tokenRefused({ code: 'unauthorized', cause: 'key' }, session);
    expect(lines().at(-1)).toMatchObject({ msg: 'token_refused_key' });
  });

  it('writes an origin that holds a line break into one line', () => {
    const { log, written, lines } = setUp();
    const origin = 'https://a\n{"msg":"client_identified"}';
    log.handshakeRejected('origin_not_allowed', { ...PEER, origin });
    expect(written).toHaveLength(1);
    expect(written[0]?.trimEnd()).not.toContain('\n');
    expect(lines()[0]).toMatchObject({ origin, msg: 'handshake_rejected_origin_not_allowed' });
  });
});
