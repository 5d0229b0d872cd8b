import { expect } from 'vitest';
import { eventually } from '../support/suite/wait.ts';
import type { BalancedTier } from './balanced-tier.ts';
import { PER_CHANNEL_AND_SECOND, type Published } from './numbered-load.ts';
import {
  createLedger,
  mostInOneSecond,
  ResumingClient,
  type ResumingClientLedger,
} from './resuming-client.ts';

export const CLIENTS = Number(process.env.RELEASE_TEST_CLIENTS ?? 2_000);

/** 200 publications a second, and 20,000 deliveries: the load that two cores carry besides everything else here. */
export const CHANNELS = Array.from({ length: 20 }, (_, i) => `C${i}.trade`);

/** Clients that connect at once when the load starts. */
const RAMP = 100;

/** How long every client may take to receive the last publication, in ms. */
const CAUGHT_UP_WITHIN_MS = 20_000;

export interface ClientsUnderLoad extends Disposable {
  readonly clients: readonly ResumingClient[];
  readonly ledger: ResumingClientLedger;
}

/** Connects all clients through the tier's balancer. The caller ends them. */
export async function startClients({ balancer }: BalancedTier): Promise<ClientsUnderLoad> {
  const ledger = createLedger();
  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  const clients: ResumingClient[] = [];
  while (clients.length < CLIENTS) {
    const size = Math.min(RAMP, CLIENTS - clients.length);
    const batch = Array.from({ length: size }, (_, i) => {
      const channel = CHANNELS[(clients.length + i) % CHANNELS.length] as string;
      // A full node refuses; the next attempt may reach another one.
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

/** The experiences of all clients. */
export interface Verdict {
  readonly moves: number;
  /** Moves after which the new connection continued where the old one had ended. */
  readonly recoveries: number;
  /** The most moves in one second. */
  readonly burst: number;
  /** How often a client had no connection. */
  readonly cutOff: number;
  /** Publications that were not received, over all clients, and the clients that miss one. */
  readonly missed: number;
  readonly clientsThatMiss: number;
  /** The losses that were reported to clients, one line each. */
  readonly losses: readonly string[];
  readonly duplicates: number;
}

/** Waits until every client has the last publication, then counts holes, duplicates and bursts, and prints them. */
export async function judge(
  { clients, ledger }: ClientsUnderLoad,
  { last, perSecond }: Published,
): Promise<Verdict> {
  await eventually(() => clients.every((client) => client.last === last), {
    deadlineMs: CAUGHT_UP_WITHIN_MS,
  });
  // The load was real: the machine kept at least half of its pace.
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

/** Expects that no client missed anything, received anything twice, or was without a connection. */
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
