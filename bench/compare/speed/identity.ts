import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hs256, makeToken, nowSeconds } from '../../../test/support/identity/tokens.ts';
import { INSPECTABLE } from '../../../test/support/services/inspector.ts';
import { readCpuTime } from '../../load/processes/process-usage.ts';
import type { DialectChoice } from '../../load/wire/dialect.ts';
import {
  channelNames,
  connectClients,
  type LoadShape,
  type Subject,
  startClients,
} from '../arena/arena.ts';
import { contenderOf, startContender } from '../arena/contenders.ts';
import { measuredEdge, readCollectedMemory } from '../arena/edge-memory.ts';
import { compare, compareDifferences, measurementsOf, measurePairs } from '../figures/pairs.ts';
import { median, type RatioSummary } from '../figures/ratio.ts';
import { formatNumber, formatRatio, formatTable } from '../figures/table.ts';

/** Clients that connect to an edge that asks who they are, and to one that asks nobody. */
export interface IdentityPlan {
  readonly base: Subject;
  readonly opponent: Subject;
  readonly shape: LoadShape;
  readonly pairs: number;
}

/** What it took to connect all clients of a run. */
export interface IdentityRun {
  /** CPU of the edge, user and system, for one client from its TCP connection to its subscription, in µs. */
  readonly cpuMicrosEach: number;
  /** Memory that belongs to no file, for one idle client, after a collection; in bytes. */
  readonly bytesEach: number;
}

export interface IdentityResult extends IdentityPlan {
  readonly withTokens: readonly IdentityRun[];
  readonly without: readonly IdentityRun[];
  /** With tokens divided by without. */
  readonly cpu: RatioSummary;
  /** With tokens less without. */
  readonly bytes: RatioSummary;
}

const KEY = 'the key of a benchmark’s tokens, of more than 32 bytes';

/** Pause before memory is read, in s: what connecting has left behind goes within it. */
const SETTLE_SECONDS = 5;

/** How long tokens last, in s: longer than a run. */
const TOKEN_SECONDS = 7_200;

/** Clients that send a token first, each one of its own: the edge has seen none of them, so each costs a signature. */
export function identified(clients: number): DialectChoice {
  const tw = { channels: ['*'], history: ['*'] };
  const tokens = Array.from({ length: clients }, () => {
    const claims = { sub: randomUUID(), exp: nowSeconds() + TOKEN_SECONDS, tw };
    return makeToken({ alg: 'HS256', typ: 'JWT' }, claims, hs256(KEY));
  });
  return { kind: 'tradewind', tokens };
}

/** An edge that asks for tokens, and `clients` clients that have some. */
export async function withIdentity<T>(
  clients: number,
  use: (subject: Subject) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-bench-'));
  const keyFile = join(folder, 'key');
  try {
    await writeFile(keyFile, KEY, { mode: 0o600 });
    return await use({
      label: 'with tokens',
      contender: 'edge',
      settings: { EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile },
      dialect: identified(clients),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function measureIdentity(
  plan: IdentityPlan,
  redisUrl: string,
  report: (line: string) => void,
): Promise<IdentityResult> {
  const { base, opponent, pairs: count } = plan;
  const measure = async (subject: Subject): Promise<IdentityRun> => {
    const run = await measureOne(subject, plan.shape, redisUrl);
    const { cpuMicrosEach, bytesEach } = run;
    report(
      `${subject.label}: ${formatNumber(cpuMicrosEach)} µs CPU and ${formatNumber(bytesEach)} bytes a client`,
    );
    return run;
  };
  const pairs = await measurePairs(base, [opponent], count, measure);
  return {
    ...plan,
    withTokens: measurementsOf(pairs, base, base),
    without: measurementsOf(pairs, base, opponent),
    cpu: compare(pairs, opponent, ({ cpuMicrosEach }) => cpuMicrosEach),
    bytes: compareDifferences(pairs, opponent, ({ bytesEach }) => bytesEach),
  };
}

async function measureOne(
  { label, contender: name, settings, dialect }: Subject,
  shape: LoadShape,
  redisUrl: string,
): Promise<IdentityRun> {
  await using stack = new AsyncDisposableStack();
  const contender = contenderOf(name);
  const server = stack.use(
    await startContender(contender, redisUrl, { ...settings, ...INSPECTABLE }),
  );
  const edge = measuredEdge(server);
  const spoken = dialect ?? contender.dialect;
  const load = stack.use(await startClients(server, spoken, shape, channelNames(shape)));
  await load.sample();
  const start = await readCollectedMemory(edge);
  const before = await readCpuTime(server.pid);
  await connectClients(load, label, shape.clients);
  const after = await readCpuTime(server.pid);
  await sleep(SETTLE_SECONDS * 1_000);
  const connected = await readCollectedMemory(edge);
  const { open } = await load.sample();
  if (open < shape.clients) throw new Error(`${shape.clients - open} idle clients disconnected`);
  const cpuSeconds = after.user + after.system - before.user - before.system;
  return {
    cpuMicrosEach: (cpuSeconds * 1e6) / shape.clients,
    bytesEach: (connected.anonymousBytes - start.anonymousBytes) / shape.clients,
  };
}

/** The result as lines for people. */
export function describeIdentity(result: IdentityResult): string {
  const { base, opponent, shape, withTokens, without, cpu, bytes } = result;
  const rowOf = (label: string, runs: readonly IdentityRun[]): string[] => {
    const micros = median(runs.map(({ cpuMicrosEach }) => cpuMicrosEach));
    const each = median(runs.map(({ bytesEach }) => bytesEach));
    return [label, formatNumber(micros), formatNumber(1e6 / micros), formatNumber(each)];
  };
  const header = ['', 'µs CPU a client', 'clients a second of a core', 'bytes a client'];
  return [
    `Identity: ${shape.clients} clients that connect and subscribe, ${withTokens.length} edges of each kind; medians`,
    '',
    formatTable(header, [rowOf(base.label, withTokens), rowOf(opponent.label, without)]),
    '',
    formatRatio(`CPU a client, ${base.label} / ${opponent.label}`, cpu),
    formatRatio(`bytes a client, ${base.label} - ${opponent.label}`, bytes, 0),
  ].join('\n');
}
