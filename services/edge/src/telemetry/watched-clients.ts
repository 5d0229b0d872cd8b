import { type ClientSearch, type FoundClient, MAX_FOUND_CLIENTS } from '@tradewind/bus';
import type { Connection } from '../clients/connection/connection.ts';
import type { FanOut } from '../clients/fan-out.ts';
import { inTurns } from '../clients/time/turn-budget.ts';
import type { EndedClients } from './ended-clients.ts';
import { Largest } from './largest.ts';
import { shownNetwork } from './shown-network.ts';
import { matchesSession, shownSession } from './shown-session.ts';

/** A client is shown as behind if this many publications wait for it, or if it has read no byte for this time in ms. Less may be one turn's work. */
const BEHIND_PUBLICATIONS = 32;
const BEHIND_MS = 1_000;

/** What the main thread asks each worker, for pages of a console. */
export interface ClientEnquiry {
  /** Channels whose subscribers and savings are counted. */
  readonly channels: readonly string[];
  /** For each of these texts, the channels with the most subscribers are wanted whose names contain it. */
  readonly mostSubscribed: readonly string[];
  /** The most channels for each text. */
  readonly most: number;
  /** See `ConsoleWatch.clients`. */
  readonly searches: readonly string[];
}

/** A channel with the number of its subscribers, and what binary frames save them in bytes a second. */
export type CountedChannel = readonly [channel: string, count: number, saved: number];

/** What a worker answers, in the order of the enquiry. */
export interface ClientEnquiryAnswer {
  readonly subscribers: readonly number[];
  /** What binary frames save on these channels, in bytes a second. */
  readonly saved: readonly number[];
  readonly mostSubscribed: readonly (readonly CountedChannel[])[];
  readonly searches: readonly ClientSearch[];
}

/** Answers for one worker. It takes several turns of the event loop to pass over channels and clients. */
export async function answerClientEnquiry(
  fanOut: FanOut,
  ended: EndedClients,
  enquiry: ClientEnquiry,
): Promise<ClientEnquiryAnswer> {
  const { channels, mostSubscribed, most, searches } = enquiry;
  const lists = mostSubscribed.map((text) => ({
    text,
    largest: new Largest<readonly [string, number]>(most, ([, count]) => count),
  }));
  if (lists.length > 0) {
    await inTurns(fanOut.index.counts(), (counted) => {
      for (const { text, largest } of lists) if (counted[0].includes(text)) largest.add(counted);
    });
  }
  const savedOn = fanOut.savedByChannel.take(performance.now());
  return {
    subscribers: channels.map((channel) => fanOut.index.count(channel)),
    saved: channels.map(savedOn),
    mostSubscribed: lists.map(({ largest }) =>
      largest.all.map(([channel, count]) => [channel, count, savedOn(channel)] as const),
    ),
    searches: searches.length === 0 ? [] : await search(fanOut, ended, searches),
  };
}

async function search(
  fanOut: FanOut,
  ended: EndedClients,
  searches: readonly string[],
): Promise<readonly ClientSearch[]> {
  const results = searches.map((text) => ({
    text,
    largest: new Largest<Connection>(MAX_FOUND_CLIENTS, howFarBehind),
  }));
  await inTurns(fanOut.connections, (connection) => {
    for (const { text, largest } of results) {
      const isWanted = text === '' ? isBehind(connection) : matches(text, connection);
      if (isWanted) largest.add(connection);
    }
  });
  return results.map(({ text, largest }) => {
    const open = largest.all.map((connection) => shownClient(fanOut, connection));
    const gone = text === '' ? ended.unexpected() : ended.find(text);
    return { text, clients: [...open, ...gone] };
  });
}

function matches(text: string, { session }: Connection): boolean {
  const { id, identity, address } = session;
  const subject = identity?.current?.subject;
  const who = { session: id, ...(subject === undefined ? {} : { subject }) };
  if (matchesSession(text, { ...who, network: '' })) return true;
  // The text of a network takes longer to make than the rest, and every network has a slash.
  return text.includes('/') && text === shownNetwork(address);
}

function isBehind({ outbox, stalledMs }: Connection): boolean {
  return stalledMs >= BEHIND_MS || outbox.isBehind || outbox.depth >= BEHIND_PUBLICATIONS;
}

/** A stalled client is worse than one with a long queue. */
function howFarBehind({ outbox, stalledMs }: Connection): number {
  return stalledMs * 1_000 + outbox.depth;
}

function shownClient(fanOut: FanOut, connection: Connection): FoundClient {
  const { session, outbox, stalledMs } = connection;
  return {
    ...shownSession(session),
    channels: fanOut.index.held(connection),
    queue: outbox.depth,
    stalledMs,
    isBehind: outbox.isBehind,
  };
}

/** Joins the results of several workers: clients that are still connected come first. */
export function addSearches(
  text: string,
  answers: readonly (ClientSearch | undefined)[],
): ClientSearch {
  const clients = answers.flatMap((answer) => answer?.clients ?? []);
  const open = clients.filter(({ endedAt }) => endedAt === undefined);
  const gone = clients.filter(({ endedAt }) => endedAt !== undefined);
  open.sort((a, b) => b.stalledMs - a.stalledMs || b.queue - a.queue);
  gone.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
  const least = Math.min(gone.length, MAX_FOUND_CLIENTS / 2);
  const shown = open.slice(0, MAX_FOUND_CLIENTS - least);
  return { text, clients: [...shown, ...gone.slice(0, MAX_FOUND_CLIENTS - shown.length)] };
}
