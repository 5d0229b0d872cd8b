import { setTimeout as sleep } from 'node:timers/promises';
import { parseMetrics } from '@tradewind/dev';
import { type LoadShape, openArena, type Subject, type Trial } from '../arena/arena.ts';
import { formatNumber } from '../figures/table.ts';
import { SaturationFinder, USUAL_SEARCH } from './saturation.ts';

/** The behaviour of an edge under more load than it can carry. */
export interface Overload {
  /** The rate that it can carry, and the rate that was offered, in publications per second. */
  readonly saturation: number;
  readonly trial: Trial;
  /** Requests to its admin port during the trial, those that failed, and the slowest answer in ms. */
  readonly asked: number;
  readonly unanswered: number;
  readonly slowestAnswerMs: number;
  readonly alive: boolean;
  /**
   * How often Redis disconnected the edge because it did not read fast enough. The edge does not know the number of
   * such losses, and sends a `gap` without one.
   */
  readonly linkLosses: number | undefined;
}

/** The offered rate as a multiple of the rate that the edge can carry. */
const FACTOR = 2;

/** How often its admin port is queried, and how long an answer may take, in ms. */
const ASK_EVERY_MS = 250;
const ANSWER_DEADLINE_MS = 5_000;

/** How long it may take to empty its queues after the overload, in ms. */
const SETTLE_MS = 30_000;

/** Finds the rate that an edge can carry, then offers twice that to a fresh one. */
export async function measureOverload(
  subject: Subject,
  shape: LoadShape,
  seconds: number,
  redisUrl: string,
  report: (line: string) => void,
): Promise<Overload> {
  await using finder = new SaturationFinder(subject, shape, USUAL_SEARCH, redisUrl, report);
  const { trial: carried } = await finder.find(seconds);
  if (carried === undefined) throw new Error(`${subject.label} carries nothing at all`);
  await using arena = await openArena(subject, shape, redisUrl);
  const { adminUrl } = arena.server;
  if (adminUrl === undefined) throw new Error(`${subject.label} has no admin port`);
  const asking = new AbortController();
  const answers = askUntil(asking.signal, `${adminUrl}/healthz`);
  const trial = await arena.trial(carried.rate * FACTOR, seconds, SETTLE_MS);
  asking.abort();
  const times = await answers;
  const answered = times.filter((ms) => ms !== undefined);
  return {
    saturation: carried.rate,
    trial,
    asked: times.length,
    unanswered: times.length - answered.length,
    slowestAnswerMs: Math.max(...answered),
    alive: await answersNow(`${adminUrl}/healthz`),
    linkLosses: await readLinkLosses(`${adminUrl}/metrics`),
  };
}

/** How long each answer took, in ms; undefined if there was none. */
async function askUntil(end: AbortSignal, url: string): Promise<(number | undefined)[]> {
  const times: (number | undefined)[] = [];
  while (!end.aborted) {
    const startedAt = performance.now();
    const answered = await answersNow(url);
    times.push(answered ? performance.now() - startedAt : undefined);
    await sleep(ASK_EVERY_MS, undefined, { signal: end }).catch(() => {});
  }
  return times;
}

async function answersNow(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** Undefined if the edge does not answer, for example because it is dead. */
async function readLinkLosses(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) });
    return parseMetrics(await response.text()).sum('tradewind_edge_redis_link_losses_total');
  } catch {
    return undefined;
  }
}

/** The duties that an edge failed under overload; empty if it passed. */
export function overloadFailures(overload: Overload): readonly string[] {
  const { alive, asked, unanswered, trial } = overload;
  const { stayed, untold, undertold, over } = trial;
  const failures: string[] = [];
  if (!alive) failures.push('the server is dead');
  if (asked === 0) failures.push('its admin port was never queried');
  if (unanswered > 0)
    failures.push(`its admin port did not answer ${unanswered} of ${asked} times`);
  if (stayed === 0) failures.push('no client stayed connected');
  if (untold > 0) failures.push(`${untold} short clients got no gap notice`);
  if (undertold > 0) failures.push(`${undertold} clients got gap notices of less than they missed`);
  if (over > 0) failures.push(`${over} clients received something twice`);
  return failures;
}

function verdictText(failures: readonly string[], short: number, loose: number): string {
  if (failures.length > 0) return `FAILED: ${failures.join('; ')}`;
  if (short === 0) return 'passed, but nobody was short: there was no loss';
  if (loose === 0) return 'passed';
  return `passed; ${loose} clients got a notice of a loss without a number, or of a larger one than they missed`;
}

/** The result as lines for people. */
export function describeOverload(overload: Overload): string {
  const { saturation, trial, asked, unanswered, slowestAnswerMs, alive, linkLosses } = overload;
  const { received, expected, disconnected, stayed, gaps, gapLost } = trial;
  const { short, told, untold, undertold } = trial;
  const loose = short - told - untold - undertold;
  const failures = overloadFailures(overload);
  return [
    `Overload: ${formatNumber(trial.rate)} publications/s where ${formatNumber(saturation)} are the highest rate`,
    '',
    `server         ${alive ? 'alive' : 'NOT alive'} at the end`,
    `admin port     answered ${asked - unanswered} of ${asked}, the slowest in ${formatNumber(slowestAnswerMs)} ms`,
    `deliveries     ${formatNumber(received)} of ${formatNumber(expected)}`,
    `clients        ${disconnected} disconnected; ${short} of the ${stayed} others are short`,
    `short clients  ${untold} without a gap notice (0 is the goal), ${undertold} with notices of less than they missed (0 is the goal), ` +
      `${told} with the exact number, ${loose} with a notice without a number, or of more`,
    `gap frames     ${gaps}, with ${formatNumber(gapLost)} losses; Redis disconnected the edge ${linkLosses ?? '?'} times`,
    `verdict        ${verdictText(failures, short, loose)}`,
  ].join('\n');
}
