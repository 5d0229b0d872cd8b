import { setTimeout as sleep } from 'node:timers/promises';
import { INSPECTABLE } from '../support/inspector.ts';
import { channelNames, connectClients, type LoadShape, startClients } from './arena.ts';
import { CONTENDERS, startContender } from './contenders.ts';
import {
  type EdgeMemory,
  measuredEdge,
  readCollectedMemory,
  readSettledMemory,
} from './edge-memory.ts';
import { median } from './ratio.ts';
import { formatNumber, formatTable } from './table.ts';

/** What to connect, and how often, each time to a fresh edge. */
export interface IdlePlan {
  readonly shape: LoadShape;
  readonly servers: number;
  /** How long the clients only wait before the edge's memory is read, in s. */
  readonly idleSeconds: number;
}

/** What one edge held before its clients came and when all were there. */
export interface IdleRun {
  readonly start: EdgeMemory;
  readonly connected: EdgeMemory;
}

export interface IdleResult extends IdlePlan {
  /** Edges as they are started in production, left alone. */
  readonly untouched: readonly IdleRun[];
  /** Edges whose garbage was collected before both readings. */
  readonly collected: readonly IdleRun[];
}

/** What a connection may cost that only waits, in bytes of PSS. */
const GOAL_BYTES = 9_000;

const MEGABYTE = 1e6;

/**
 * Measures what connections cost that only wait. An edge that is left alone and one that is made to
 * collect its garbage are different processes: a collection changes how far a heap grows afterwards.
 */
export async function measureIdle(
  plan: IdlePlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<IdleResult> {
  const untouched: IdleRun[] = [];
  const collected: IdleRun[] = [];
  for (let server = 0; server < plan.servers; server += 1) {
    untouched.push(await measureServer(plan, redisUrl, 'untouched', report));
    collected.push(await measureServer(plan, redisUrl, 'collected', report));
  }
  return { ...plan, untouched, collected };
}

async function measureServer(
  { shape, idleSeconds }: IdlePlan,
  redisUrl: string,
  kind: 'untouched' | 'collected',
  report: (line: string) => void,
): Promise<IdleRun> {
  const read = kind === 'collected' ? readCollectedMemory : readSettledMemory;
  await using stack = new AsyncDisposableStack();
  const contender = CONTENDERS.edge;
  const settings = kind === 'collected' ? INSPECTABLE : {};
  const server = stack.use(await startContender(contender, redisUrl, settings));
  const edge = measuredEdge(server);
  // PSS counts Node's own pages in part, so all that shares them has to be there before the start is read.
  const load = stack.use(await startClients(server, contender, shape, channelNames(shape)));
  await load.sample();
  const start = await read(edge);
  await connectClients(load, contender.name, shape.clients);
  await sleep(idleSeconds * 1_000);
  const connected = await read(edge);
  const { open } = await load.sample();
  if (open < shape.clients) throw new Error(`${shape.clients - open} idle clients disconnected`);
  const each = formatNumber((connected.pssBytes - start.pssBytes) / shape.clients);
  report(`${shape.clients} idle clients, ${kind}: ${each} bytes each`);
  return { start, connected };
}

/** The lines that a person reads. */
export function describeIdle(result: IdleResult): string {
  const { shape, servers, idleSeconds, untouched, collected } = result;
  const rowOf = (label: string, runs: readonly IdleRun[]): string[] => {
    const each = (bytes: (memory: EdgeMemory) => number): number[] =>
      runs.map(({ start, connected }) => (bytes(connected) - bytes(start)) / shape.clients);
    const pss = each(({ pssBytes }) => pssBytes);
    return [
      label,
      formatNumber(median(runs.map(({ start }) => start.pssBytes / MEGABYTE))),
      formatNumber(median(runs.map(({ connected }) => connected.pssBytes / MEGABYTE))),
      formatNumber(median(pss)),
      `${formatNumber(Math.min(...pss))} to ${formatNumber(Math.max(...pss))}`,
      formatNumber(median(each(({ heapBytes }) => heapBytes))),
      formatNumber(median(each(({ externalBytes }) => externalBytes))),
    ];
  };
  const all = [...untouched, ...collected].flatMap(({ start, connected }) => [start, connected]);
  const restless = all.filter(({ settled }) => !settled).length;
  const header = ['', 'start MB', 'then MB', 'PSS each', 'range', 'heap each', 'external each'];
  return [
    `Idle: ${shape.clients} clients on ${shape.channels} channel, ${idleSeconds} s without a publication`,
    `medians over ${servers} fresh edges; bytes above the start; at most ${formatNumber(GOAL_BYTES)} each is the goal`,
    '',
    formatTable(header, [
      rowOf('left alone', untouched),
      rowOf('collected before both readings', collected),
    ]),
    ...(restless === 0 ? [] : ['', `PSS had not come to rest in ${restless} readings`]),
  ].join('\n');
}
