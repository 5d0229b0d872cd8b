import { expect } from 'vitest';
import { eventually } from '../support/wait.ts';
import type { BalancedTier } from './balanced-tier.ts';
import { PER_CHANNEL_AND_SECOND, type Published } from './numbered-load.ts';
import {
  createLedger,
  mostInOneSecond,
  ResumingClient,
  type ResumingClientLedger,
} from './resuming-client.ts';

export const CLIENTS = Number(process.env.RELEASE_TEST_CLIENTS ?? 2_000);

/** 200 publications a second, and 20,000 deliveries: what two cores carry beside everything else here. */
export const CHANNELS = Array.from({ length: 20 }, (_, i) => `C${i}.trade`);

/** Clients that begin to connect at once, when the load starts. */
const RAMP = 100;

/** How long everyone may take to have the last publication, in ms. */
const CAUGHT_UP_WITHIN_MS = 20_000;

export interface ClientsUnderLoad extends Disposable {
  readonly clients: readonly ResumingClient[];
  readonly ledger: ResumingClientLedger;
}

/** Connects all clients through the tier's balancer. Whoever starts them lets go of them. */
export async function startClients({ balancer }: BalancedTier): Promise<ClientsUnderLoad> {
  const ledger = createLedger();
  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  const clients: ResumingClient[] = [];
  while (clients.length < CLIENTS) {
    const size = Math.min(RAMP, CLIENTS - clients.length);
    const batch = Array.from({ length: size }, (_, i) => {
      const channel = CHANNELS[(clients.length + i) % CHANNELS.length] as string;
      // A node that is full refuses; the next try may get another.
      return eventually(() => ResumingClient.start(url, channel, ledger), { deadlineMs: 20_000 });
    });
    clients.push(...(await Promise.all(batch)));
  }
  return {
    clients,
    ledger,
    [Symbol.dispose]() {
      for (const client of clients) client.stop();
    },
  };
}

/** What clients went through. */
export interface Verdict {
  readonly moves: number;
  /** Those moves after which the new connection went on where the old one was left. */
  readonly recoveries: number;
  /** The most moves in one second. */
  readonly burst: number;
  /** How often a client was left without a connection. */
  readonly cutOff: number;
  /** Publications that did not come, over all clients, and the clients that miss one. */
  readonly missed: number;
  readonly clientsThatMiss: number;
  /** What clients were told of losses, a line each time. */
  readonly losses: readonly string[];
  readonly duplicates: number;
}

/** Waits until everyone has the last publication, then looks for holes, duplicates and bursts; and prints them. */
export async function judge(
  { clients, ledger }: ClientsUnderLoad,
  { last, perSecond }: Published,
): Promise<Verdict> {
  await eventually(() => clients.every((client) => client.last === last), {
    deadlineMs: CAUGHT_UP_WITHIN_MS,
  });
  // The load was one: the machine kept half of its pace at least.
  expect(perSecond).toBeGreaterThan((CHANNELS.length * PER_CHANNEL_AND_SECOND) / 2);
  const missing = clients.map((client) => countMissing(client, last));
  const verdict = {
    moves: ledger.movedAt.length,
    recoveries: ledger.recoveries,
    burst: mostInOneSecond(ledger.movedAt),
    cutOff: ledger.strandedAt.length,
    missed: missing.reduce((sum, count) => sum + count, 0),
    clientsThatMiss: missing.filter((count) => count > 0).length,
    losses: ledger.losses,
    duplicates: ledger.duplicates,
  };
  console.log(
    `${last * CHANNELS.length} publications, ${perSecond.toFixed(0)} a second, ${clients.length} clients, ` +
      `${verdict.moves} moves, ${verdict.recoveries} of them recovered, at most ${verdict.burst} in a second, ` +
      `${verdict.cutOff} cut off, ${verdict.missed} missed, ${verdict.losses.length} losses told, ` +
      `${verdict.duplicates} duplicates`,
  );
  return verdict;
}

/** Holds that nobody missed anything, nothing came twice, and nobody was cut off. */
export function expectNothingMissed(verdict: Verdict): void {
  const { moves, recoveries, missed, duplicates, losses, cutOff } = verdict;
  expect({ missed, duplicates, losses, cutOff }).toEqual({
    ...{ missed: 0, duplicates: 0 },
    ...{ losses: [], cutOff: 0 },
  });
  expect(recoveries).toBe(moves);
}

function countMissing({ received, startsAfter }: ResumingClient, last: number): number {
  let missing = 0;
  for (let n = startsAfter + 1; n <= last; n += 1) if (received[n] === 0) missing += 1;
  return missing;
}
