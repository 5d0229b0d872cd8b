import { setTimeout as sleep } from 'node:timers/promises';
import { INSPECTABLE } from '../../../test/support/services/inspector.ts';
import {
  channelNames,
  connectClients,
  type LoadShape,
  type Subject,
  startClients,
} from '../arena/arena.ts';
import { contenderOf, startContender } from '../arena/contenders.ts';
import {
  type EdgeMemory,
  measuredEdge,
  readCollectedMemory,
  readSettledMemory,
} from '../arena/edge-memory.ts';
import { compareDifferences, measurementsOf, measurePairs } from '../figures/pairs.ts';
import type { RatioSummary } from '../figures/ratio.ts';

/** The clients to connect, and how often, each time to a fresh edge. */
export interface IdlePlan {
  readonly shape: LoadShape;
  readonly base: Subject;
  /** Edges of other checkouts to compare the base with. */
  readonly opponents: readonly Subject[];
  /** Fresh edges of each kind on each side; pairs if there is an opponent. */
  readonly servers: number;
  /** How long the clients idle before the edge's memory is read, in s. */
  readonly idleSeconds: number;
}

/**
 * How an edge is treated: left alone as in production, or made to collect its garbage before both readings. Each kind
 * needs its own process, because a collection changes how far a heap grows afterwards.
 */
export const IDLE_KINDS = ['untouched', 'collected'] as const;
export type IdleKind = (typeof IDLE_KINDS)[number];

/** Memory of one edge before its clients connected and after all had. */
export interface IdleRun {
  readonly start: EdgeMemory;
  readonly connected: EdgeMemory;
}

/** One edge of each kind, one right after the other. */
export type IdleRuns = Readonly<Record<IdleKind, IdleRun>>;

/** What a connection to the base takes more than one to an opponent, in bytes. */
export interface IdleDifference {
  readonly opponent: string;
  readonly kind: IdleKind;
  readonly anonymousBytesEach: RatioSummary;
}

export interface IdleResult extends IdlePlan {
  readonly sides: readonly { readonly label: string; readonly runs: readonly IdleRuns[] }[];
  readonly differences: readonly IdleDifference[];
}

/** Measures the memory of idle connections, and compares it with that of other checkouts' edges. */
export async function measureIdle(
  plan: IdlePlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<IdleResult> {
  const { base, opponents, servers, shape } = plan;
  const measure = async (subject: Subject): Promise<IdleRuns> => ({
    untouched: await measureServer(plan, subject, 'untouched', redisUrl, report),
    collected: await measureServer(plan, subject, 'collected', redisUrl, report),
  });
  if (opponents.length === 0) {
    const runs: IdleRuns[] = [];
    for (let server = 0; server < servers; server += 1) runs.push(await measure(base));
    return { ...plan, sides: [{ label: base.label, runs }], differences: [] };
  }
  const pairs = await measurePairs(base, opponents, servers, measure);
  return {
    ...plan,
    sides: [base, ...opponents].map((subject) => ({
      label: subject.label,
      runs: measurementsOf(pairs, base, subject),
    })),
    differences: opponents.flatMap((opponent) =>
      IDLE_KINDS.map((kind) => ({
        opponent: opponent.label,
        kind,
        anonymousBytesEach: compareDifferences(pairs, opponent, (runs) =>
          bytesEach(runs[kind], shape.clients, ({ anonymousBytes }) => anonymousBytes),
        ),
      })),
    ),
  };
}

/** Bytes above its start that an edge holds for each client. */
export function bytesEach(
  { start, connected }: IdleRun,
  clients: number,
  bytes: (memory: EdgeMemory) => number,
): number {
  return (bytes(connected) - bytes(start)) / clients;
}

async function measureServer(
  { shape, idleSeconds }: IdlePlan,
  subject: Subject,
  kind: IdleKind,
  redisUrl: string,
  report: (line: string) => void,
): Promise<IdleRun> {
  const read = kind === 'collected' ? readCollectedMemory : readSettledMemory;
  await using stack = new AsyncDisposableStack();
  const contender = contenderOf(subject.contender);
  const settings = { ...subject.settings, ...(kind === 'collected' ? INSPECTABLE : {}) };
  const server = stack.use(await startContender(contender, redisUrl, settings));
  const edge = measuredEdge(server);
  // PSS counts a share of Node's own pages, so all processes that share them must run before the start is read.
  const { dialect } = contender;
  const load = stack.use(await startClients(server, dialect, shape, channelNames(shape)));
  await load.sample();
  const start = await read(edge);
  await connectClients(load, subject.label, shape.clients);
  await sleep(idleSeconds * 1_000);
  const connected = await read(edge);
  const { open } = await load.sample();
  if (open < shape.clients) throw new Error(`${shape.clients - open} idle clients disconnected`);
  const run = { start, connected };
  const each = Math.round(bytesEach(run, shape.clients, ({ pssBytes }) => pssBytes));
  report(`${subject.label}: ${shape.clients} idle clients, ${kind}: ${each} bytes each`);
  return run;
}
