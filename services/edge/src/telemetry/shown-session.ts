import type { FoundClient } from '@tradewind/bus';
import type { Session } from '../clients/session/session.ts';
import { shownNetwork } from './shown-network.ts';

/** The least length of the beginning of a session's name that a search matches, in characters. */
const LEAST_BEGINNING = 8;

/** The part of a session that pages show. */
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

/** Whether a search matches this session: its name or the beginning of that, its subject, or its network. */
export function matchesSession(
  text: string,
  { session, subject, network }: Pick<FoundClient, 'session' | 'subject' | 'network'>,
): boolean {
  if (text === session || text === subject || text === network) return true;
  return text.length >= LEAST_BEGINNING && session.startsWith(text);
}
