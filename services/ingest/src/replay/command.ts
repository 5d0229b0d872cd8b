import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkRedisUrl, createCommands } from '@tradewind/bus';
import { DEFAULT_MAX_PUBLICATION_BYTES } from '@tradewind/protocol';
import {
  ConfigError,
  type Environment,
  openRedisCredentials,
  readConfig,
  readRedisEndpoint,
  redisAddress,
} from '@tradewind/runtime';
import { readPublishing } from '../config.ts';
import type { Publisher, PublishTerms } from '../publishing/publish.ts';
import { createRedisPublisher } from '../publishing/redis-publisher.ts';
import { continuedArguments, parseReplayArguments, REPLAY_USAGE, UsageError } from './arguments.ts';
import { describeContinuation, type Memory } from './continuation.ts';
import { createHttpPublisher, RATE_LIMIT_PATIENCE_MS } from './http-publisher.ts';
import { type ReplayProgress, replay } from './replay.ts';

/** EX_USAGE, EX_DATAERR and EX_CONFIG of sysexits.h, and the exit code that shells use for SIGINT. */
const USAGE_EXIT_CODE = 64;
const INVALID_LINES_EXIT_CODE = 65;
const CONFIG_EXIT_CODE = 78;
const INTERRUPTED_EXIT_CODE = 130;

/** How this program was started. Another Node might not run it. */
const PROGRAM = [process.execPath, process.argv[1] ?? ''];

/** How long Redis may take to answer at the start, in ms. */
const CONNECT_DEADLINE_MS = 5_000;

/** Publications in flight to Redis. */
const REDIS_IN_FLIGHT = 128;

/** The source of a file's trades that name none. */
const REPLAY_SOURCE = 'file';

/** Invalid lines that are reported one by one; the summary has their count. */
const MAX_TOLD_LINES = 20;

/** Time between two lines that say how far the replay is, in ms. They are printed on a terminal only. */
const PROGRESS_INTERVAL_MS = 1_000;

interface OpenPublisher {
  readonly publisher: Publisher;
  readonly terms: () => PublishTerms;
  readonly maxInFlight: number;
  /** How long a publication is recognized as a duplicate. */
  readonly memory: Memory;
  close(): Promise<void>;
}

/**
 * Runs the replay command. It writes progress and mistakes to stderr, and a summary as JSON to stdout. Returns the exit code:
 * 0 for success, 1 if a trade was not accepted, 64 for wrong arguments, 65 if lines were skipped because they are no
 * trades, 78 for a wrong environment, 130 after an interrupt.
 */
export async function runReplay(
  args: readonly string[],
  environment: Environment,
): Promise<number> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt);
  try {
    return await replayFile(args, environment, interrupt.signal);
  } catch (error) {
    return reportFailure(error);
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
  }
}

async function replayFile(
  args: readonly string[],
  environment: Environment,
  signal: AbortSignal,
): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(REPLAY_USAGE);
    return 0;
  }
  const { file, pace, to, runId = randomUUID(), fromLine } = parseReplayArguments(args);
  const { size } = await stat(file);
  const target = await openPublisher(to, environment, signal);
  const startedAt = performance.now();
  const secondsSoFar = (): number => (performance.now() - startedAt) / 1_000;
  let told = 0;
  let nextReportAt = startedAt + PROGRESS_INTERVAL_MS;
  function report({ published, position }: ReplayProgress): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now < nextReportAt) return;
    nextReportAt = now + PROGRESS_INTERVAL_MS;
    const percent = Math.floor((100 * position) / size);
    complain(`${percent} %, ${published} published, ${Math.round(published / secondsSoFar())}/s`);
  }
  try {
    const outcome = await replay({
      stream: createReadStream(file) as AsyncIterable<Buffer>,
      fromLine,
      publisher: target.publisher,
      terms: target.terms,
      origin: { source: REPLAY_SOURCE, run: runId },
      maxInFlight: target.maxInFlight,
      maxPublicationBytes: DEFAULT_MAX_PUBLICATION_BYTES,
      pace,
      signal,
      onInvalid(line, { code, message }) {
        told += 1;
        if (told <= MAX_TOLD_LINES) complain(`line ${line}: ${code}: ${message}`);
        if (told === MAX_TOLD_LINES) complain('further invalid lines are only counted');
      },
      onProgress: report,
    });
    const { published, duplicates, invalid, refused, nextLine } = outcome;
    const seconds = Number(secondsSoFar().toFixed(3));
    const summary = { file, runId, published, duplicates, invalid, nextLine, seconds };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    if (refused !== undefined) complain(`stopped at line ${refused.line}: ${refused.reason}`);
    if (nextLine !== undefined) {
      const command = [...PROGRAM, ...continuedArguments(args, runId, nextLine)];
      const continuation = { ...outcome, command, nextLine, memory: target.memory };
      for (const line of describeContinuation(continuation)) complain(line);
    } else if (outcome.lines < fromLine) {
      complain(`there is no line ${fromLine}: ${file} has ${outcome.lines}`);
      return 1;
    }
    if (refused !== undefined) return 1;
    if (signal.aborted) return INTERRUPTED_EXIT_CODE;
    return invalid > 0 ? INVALID_LINES_EXIT_CODE : 0;
  } finally {
    await target.close();
  }
}

async function openPublisher(
  to: string | undefined,
  environment: Environment,
  signal: AbortSignal,
): Promise<OpenPublisher> {
  if (to !== undefined) {
    const [token] = readConfig(environment, (reader) => reader.secretList('INGEST_TOKENS'));
    // One at a time, so that no publication overtakes one that the rate limit delays.
    return {
      publisher: createHttpPublisher({
        baseUrl: to,
        token,
        patienceMs: RATE_LIMIT_PATIENCE_MS,
        signal,
      }),
      // The service has terms of its own.
      terms: () => ({ idempotencyWindowMs: 0, notAfterMs: undefined }),
      maxInFlight: 1,
      memory: { of: 'service' },
      close: () => Promise.resolve(),
    };
  }
  const { endpoint, publishing } = readConfig(environment, (reader) => ({
    endpoint: readRedisEndpoint(reader, checkRedisUrl),
    publishing: readPublishing(reader),
  }));
  const { idempotencyWindowMs, maxAgeMs } = publishing;
  const connected = Promise.withResolvers<void>();
  let cause = 'no answer';
  const credentials = openRedisCredentials(endpoint, {
    tokenNotRenewed(reason) {
      cause = reason;
    },
  });
  const settings = { ...credentials.settings, connectionName: 'tradewind-replay' };
  const redis = createCommands(settings, {
    available: () => connected.resolve(),
    unavailable(reason) {
      cause = reason;
    },
    stillUnavailable(reason) {
      cause = reason;
    },
  });
  redis.start();
  const waiting = new AbortController();
  const either = AbortSignal.any([signal, waiting.signal]);
  await Promise.race([
    connected.promise,
    sleep(CONNECT_DEADLINE_MS, undefined, { signal: either }).catch(() => undefined),
  ]);
  waiting.abort();
  if (!redis.available && !signal.aborted) {
    await redis.stop();
    credentials.stop();
    const where = `REDIS_URL names ${redisAddress(endpoint)}; npm start prints its own`;
    throw new Error(`Redis is not available: ${cause} (${where})`);
  }
  return {
    publisher: createRedisPublisher(redis, publishing),
    terms: () => ({
      idempotencyWindowMs,
      notAfterMs: maxAgeMs === 0 ? undefined : Date.now() + maxAgeMs,
    }),
    maxInFlight: REDIS_IN_FLIGHT,
    memory: { of: 'redis', seconds: idempotencyWindowMs / 1_000 },
    async close() {
      await redis.stop();
      credentials.stop();
    },
  };
}

function reportFailure(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`replay: ${error.message}\n\n${REPLAY_USAGE}`);
    return USAGE_EXIT_CODE;
  }
  if (error instanceof ConfigError) {
    for (const mistake of error.mistakes) complain(mistake);
    return CONFIG_EXIT_CODE;
  }
  complain(error instanceof Error ? error.message : String(error));
  return 1;
}

function complain(message: string): void {
  process.stderr.write(`replay: ${message}\n`);
}
