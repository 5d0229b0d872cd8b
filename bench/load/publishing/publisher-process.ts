// A child process that publishes on a schedule. Started by startPublisher, in publisher.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { PUBLISH_SCRIPT } from '@tradewind/bus';
import { serveCalls } from '../processes/child-calls.ts';
import { nowMicros } from '../processes/clock.ts';
import { PublishCommand } from './publication-payload.ts';
import type {
  PublisherCalls,
  PublisherSample,
  PublisherTotals,
  SequencedTerms,
} from './publisher-plan.ts';
import { RedisPipeline } from './redis-pipeline.ts';

/** How often due publications are sent, in ms: the timer's finest resolution. */
const TICK_MS = 1;

/** Commands are written in pieces of about this size, in bytes. */
const BATCH_BYTES = 64 * 1024;

/** How long Redis may take to answer the last publications, in ms. */
const CONFIRM_DEADLINE_MS = 30_000;
const CONFIRM_INTERVAL_MS = 5;

let pipeline: RedisPipeline | undefined;
let channels: readonly string[] = [];
let sequenced: SequencedTerms | undefined;
let run: Run | undefined;
let tick: NodeJS.Timeout | undefined;

/** The state between one `start` and its `stop`. */
interface Run {
  readonly commands: readonly PublishCommand[];
  readonly startMicros: number;
  readonly microsBetween: number;
  readonly published: number[];
  sent: number;
  replies: number;
  refused: number;
  refusal: string | undefined;
  maxBehindMicros: number;
  recentBehindMicros: number;
}

/** Publication `n` is due `n` intervals after the start, independent of those before it. */
function dueMicros(of: Run, publication: number): number {
  return of.startMicros + publication * of.microsBetween;
}

function sendDue(): void {
  if (run === undefined || pipeline === undefined) return;
  const now = nowMicros();
  const behind = now - dueMicros(run, run.sent);
  if (behind < 0) return;
  run.maxBehindMicros = Math.max(run.maxBehindMicros, behind);
  run.recentBehindMicros = Math.max(run.recentBehindMicros, behind);
  const due = 1 + Math.floor((now - run.startMicros) / run.microsBetween);
  while (run.sent < due && !pipeline.isFull) sendBatch(run, pipeline, due);
}

function sendBatch(of: Run, to: RedisPipeline, due: number): void {
  const largest = of.commands.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  const count = Math.min(due - of.sent, Math.max(1, Math.floor(BATCH_BYTES / largest)));
  const batch = Buffer.allocUnsafe(count * largest);
  let end = 0;
  for (let i = 0; i < count; i += 1) {
    const command = of.commands[of.sent % of.commands.length]!;
    end = command.writeTo(batch, end, dueMicros(of, of.sent));
    of.sent += 1;
  }
  to.write(batch.subarray(0, end));
}

/** Replies arrive in the order of the commands, so their position gives the channel. */
function takeReply(refusal: string | undefined): void {
  if (run === undefined) return;
  const channel = run.replies % run.published.length;
  run.replies += 1;
  if (refusal === undefined) {
    run.published[channel] = run.published[channel]! + 1;
  } else {
    run.refused += 1;
    run.refusal ??= refusal;
  }
}

function sample(): PublisherSample {
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (user + system) / 1e6;
  if (run === undefined) return { sent: 0, confirmed: 0, maxBehindMs: 0, cpuSeconds };
  // A publication that is due now and not sent yet is behind as well.
  const waiting = tick === undefined ? 0 : nowMicros() - dueMicros(run, run.sent);
  const behind = Math.max(run.recentBehindMicros, waiting);
  run.recentBehindMicros = 0;
  return { sent: run.sent, confirmed: run.replies, maxBehindMs: behind / 1_000, cpuSeconds };
}

async function stop(): Promise<PublisherTotals> {
  clearInterval(tick);
  tick = undefined;
  if (run === undefined) throw new Error('the publisher was not started');
  const deadline = performance.now() + CONFIRM_DEADLINE_MS;
  while (run.replies < run.sent) {
    if (pipeline?.failure) throw pipeline.failure;
    if (performance.now() > deadline) throw new Error('Redis does not answer what was published');
    await sleep(CONFIRM_INTERVAL_MS);
  }
  return {
    published: run.published,
    total: run.sent - run.refused,
    refused: run.refused,
    refusal: run.refusal,
    seconds: (dueMicros(run, run.sent) - run.startMicros) / 1e6,
    maxBehindMs: run.maxBehindMicros / 1_000,
  };
}

serveCalls<PublisherCalls>({
  async connect(plan) {
    ({ channels, sequenced } = plan);
    pipeline = await RedisPipeline.connect(plan.redisUrl, takeReply);
    if (sequenced !== undefined) await pipeline.ask(['SCRIPT', 'LOAD', PUBLISH_SCRIPT.text]);
    return undefined;
  },
  start({ ratePerSecond, payloadBytes }) {
    if (tick !== undefined) throw new Error('the publisher was started already');
    run = {
      commands: channels.map((channel) => new PublishCommand(channel, payloadBytes, sequenced)),
      startMicros: nowMicros(),
      microsBetween: 1e6 / ratePerSecond,
      published: channels.map(() => 0),
      sent: 0,
      replies: 0,
      refused: 0,
      refusal: undefined,
      maxBehindMicros: 0,
      recentBehindMicros: 0,
    };
    tick = setInterval(sendDue, TICK_MS);
    return undefined;
  },
  sample,
  stop,
});
