import { setTimeout as sleep } from 'node:timers/promises';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { BINARY_SUBPROTOCOL } from '@tradewind/protocol';
import { type Load, startLoad } from '../load/clients/load.ts';
import type { Verdict } from '../load/clients/load-plan.ts';
import { type Publisher, startPublisher } from '../load/publishing/publisher.ts';
import type { PublisherPlan, SequencedTerms } from '../load/publishing/publisher-plan.ts';
import { describeMachine, describeRelease } from './machine.ts';
import type { Outcome, ServerCost } from './outcome.ts';
import { Recorder } from './recorder.ts';
import type { CapacitySettings } from './settings.ts';
import { reasonsText } from './summary.ts';
import { openTarget } from './target.ts';
import { findBottlenecks, type TimelinePoint } from './timeline.ts';

/** Pause between connecting and publishing, in ms: heaps settle, and idle memory is read. */
const REST_MS = 3_000;

/** How long the last publications may take to arrive, in ms. */
const DRAIN_DEADLINE_MS = 30_000;

/** How long weak clients may take to read everything that is queued for them, in ms. */
const RELEASE_DEADLINE_MS = 10_000;

const LOOK_AGAIN_MS = 200;

/** One more interval at the end, in ms. Nothing should arrive in it. */
const LAST_LOOK_MS = 1_000;

/** Receives the progress of a run. */
export interface RunListener {
  /** One line about the step that begins. */
  note(line: string): void;
  point(point: TimelinePoint): void;
}

/**
 * Carries out a run: connects, rests, publishes, and waits until everything was delivered. Rejects if it cannot be
 * carried out, which includes that no client gets subscribed. Every other result is part of the outcome and never a
 * rejection. Leaves no process running.
 */
export async function runCapacity(
  settings: CapacitySettings,
  listener: RunListener,
): Promise<Outcome> {
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const version = await describeRelease(WORKSPACE_ROOT);
  const server = settings.target.kind === 'remote' ? '' : 'the server, ';
  listener.note(`starting ${server}the load and the publisher`);
  await using target = await openTarget(settings.target, (line) => listener.note(line));
  await using load = await startLoad({
    urls: target.urls,
    dialect: {
      kind: 'tradewind',
      tokens: settings.tokens,
      ...(settings.wire === 'v2' ? { subprotocol: BINARY_SUBPROTOCOL } : {}),
    },
    connections: settings.connections,
    rampPerSecond: settings.rampRate,
    channels: settings.channelNames,
    mode: settings.mode,
    channelsPerClient: settings.channelsPerClient,
    seed: settings.seed,
    sampleEvery: settings.sampleEvery,
    reading: { slow: settings.slowShare, stalled: settings.stalledShare },
    slowBytesPerSecond: settings.slowBytesPerSecond,
    stallAfterMs: 0,
    connectionsPerProcess: settings.connectionsPerProcess,
    cores: [],
    polls: false,
  });
  await using publisher = await connectPublisher({
    redisUrl: target.redisUrl,
    channels: settings.channelNames,
    core: undefined,
    sequenced: historyTerms(settings.historySize),
  });
  const { cores } = machine;
  const recorder = new Recorder({ load, publisher, serverPids: target.pids, cores }, (point) =>
    listener.point(point),
  );
  const startMemoryBytes = await recorder.serverMemory();

  const connectingAt = performance.now();
  await recorder.during('connecting', load.connect());
  const connectSeconds = (performance.now() - connectingAt) / 1_000;
  await recorder.during('resting', sleep(REST_MS));
  const idleMemoryBytes = await recorder.serverMemory();

  await load.mark();
  const { subscribed, publications: publicationsBefore, failed } = await load.sample();
  if (subscribed === 0) {
    const why = reasonsText(failed);
    throw new Error(`not one client got subscribed, so nothing was published: ${why}`);
  }
  const cpuBefore = await recorder.serverCpuSeconds();
  await publisher.start({
    ratePerSecond: settings.publishRate,
    payloadBytes: settings.payloadBytes,
  });
  await recorder.during('publishing', sleep(settings.duration * 1_000));
  const published = await publisher.stop();
  const verdict = await recorder.during('draining', waitForDeliveries(load, published.published));
  await recorder.during('draining', sleep(LAST_LOOK_MS));
  const deliveries = (await load.sample()).publications - publicationsBefore;
  const cpuAfter = await recorder.serverCpuSeconds();
  const endMemoryBytes = await recorder.serverMemory();
  const weak = settings.slowShare + settings.stalledShare > 0;
  if (weak)
    listener.note('letting slow and stalled clients read everything that is queued for them');
  const released = weak ? await release(load, published.published) : undefined;

  return {
    settings,
    machine,
    release: target.pids.length === 0 ? `unknown; the load was of ${version}` : version,
    target: target.description,
    startedAt,
    connectSeconds,
    published,
    totals: await load.sample(),
    deliveries,
    verdict,
    released,
    latency: recorder.latency,
    latencyBuckets: recorder.latencyBuckets,
    server: serverCost(startMemoryBytes, idleMemoryBytes, endMemoryBytes, cpuBefore, cpuAfter),
    timeline: recorder.timeline,
    bottlenecks: findBottlenecks(recorder.timeline, cores),
  };
}

/**
 * How long history is kept after the last publication, in ms. Afterwards only the channels' positions stay in Redis.
 */
const HISTORY_TTL_MS = 60_000;

function historyTerms(historySize: number): SequencedTerms | undefined {
  return historySize === 0 ? undefined : { historySize, historyTtlMs: HISTORY_TTL_MS };
}

async function connectPublisher(plan: PublisherPlan): Promise<Publisher> {
  try {
    return await startPublisher(plan);
  } catch (cause) {
    throw new Error(`nothing can be published into Redis: ${(cause as Error).message}`, { cause });
  }
}

/** Waits until every steady client has received everything, or until the deadline. */
async function waitForDeliveries(load: Load, published: readonly number[]): Promise<Verdict> {
  const deadline = performance.now() + DRAIN_DEADLINE_MS;
  for (;;) {
    const verdict = await load.verdict(published);
    const { connections, exact, over } = verdict.steady;
    if (exact + over === connections || performance.now() > deadline) return verdict;
    await sleep(LOOK_AGAIN_MS);
  }
}

/**
 * Waits until every weak client that is still connected has received everything or the notices of what it missed, or
 * until the deadline.
 */
async function release(load: Load, published: readonly number[]): Promise<Verdict> {
  await load.release();
  const deadline = performance.now() + RELEASE_DEADLINE_MS;
  for (;;) {
    const verdict = await load.verdict(published);
    const open = [verdict.slow, verdict.stalled].some(
      ({ connections, exact, told }) => exact + told < connections,
    );
    if (!open || performance.now() > deadline) return verdict;
    await sleep(LOOK_AGAIN_MS);
  }
}

function serverCost(
  startMemoryBytes: number | undefined,
  idleMemoryBytes: number | undefined,
  endMemoryBytes: number | undefined,
  cpuBefore: number | undefined,
  cpuAfter: number | undefined,
): ServerCost | undefined {
  if (startMemoryBytes === undefined || idleMemoryBytes === undefined) return undefined;
  if (endMemoryBytes === undefined || cpuBefore === undefined || cpuAfter === undefined) {
    return undefined;
  }
  const cpuSeconds = cpuAfter - cpuBefore;
  return { startMemoryBytes, idleMemoryBytes, endMemoryBytes, cpuSeconds };
}
