import type { FoundClient } from '@tradewind/bus';
import type { Session } from '../clients/session/session.ts';
import { shownNetwork } from './shown-network.ts';

/** A session may be searched for by its beginning, from this length on, in characters. */
const LEAST_BEGINNING = 8;

/** What pages show of who a session is. */
export function shownSession(
  session: Session,
): Pick<FoundClient, 'session' | 'subject' | 'network' | 'openedAt' | 'ignoredRequests'> {
  const { id, identity, address, openedSeconds, ignoredRequests } = session;
  const subject = identity?.current?.subject;
  return {
    session: id,
    ...(subject === undefined ? {} : { subject }),
    network: shownNetwork(address),
    openedAt: openedSeconds * 1_000,
    ignoredRequests,
  };
}

/** Whether a search means this session: by its name or the beginning of that, by its subject, or by its network. */
export function matchesSession(
  text: string,
  { session, subject, network }: Pick<FoundClient, 'session' | 'subject' | 'network'>,
): boolean {
  if (text === session || text === subject || text === network) return true;
  return text.length >= LEAST_BEGINNING && session.startsWith(text);
}
