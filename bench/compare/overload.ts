import { setTimeout as sleep } from 'node:timers/promises';
import { parseMetrics } from '@tradewind/dev';
import { type LoadShape, openArena, type Subject, type Trial } from './arena.ts';
import { SaturationFinder, USUAL_SEARCH } from './saturation.ts';
import { formatNumber } from './table.ts';

/** How an edge bore more than it can carry. */
export interface Overload {
  /** What it can carry, and what it was offered, in publications per second. */
  readonly saturation: number;
  readonly trial: Trial;
  /** Requests to its admin port meanwhile, those that failed, and the slowest answer in ms. */
  readonly asked: number;
  readonly unanswered: number;
  readonly slowestAnswerMs: number;
  readonly alive: boolean;
  /**
   * Times that Redis cut the edge off for not reading fast enough. What is lost then has no number,
   * and the edge tells it by a `gap` without one.
   */
  readonly linkLosses: number | undefined;
}

/** How many times what it can carry is offered. */
const FACTOR = 2;

/** How often its admin port is asked, and how long an answer may take, in ms. */
const ASK_EVERY_MS = 250;
const ANSWER_DEADLINE_MS = 5_000;

/** How long it may take to hand out what still waits when the overload is over, in ms. */
const SETTLE_MS = 30_000;

/** Finds what an edge can carry, then offers a fresh one twice that. */
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

/** How long each answer took, in ms; undefined where none came. */
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

/** Undefined when the edge does not say, as one that is dead. */
async function readLinkLosses(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) });
    return parseMetrics(await response.text()).sum('tradewind_edge_redis_link_losses_total');
  } catch {
    return undefined;
  }
}

/** What an edge under overload owes and did not do; nothing when it passed. */
export function overloadFailures(overload: Overload): readonly string[] {
  const { alive, asked, unanswered, trial } = overload;
  const { stayed, untold, undertold, over } = trial;
  const failures: string[] = [];
  if (!alive) failures.push('the server is not alive');
  if (asked === 0) failures.push('its admin port was never asked');
  if (unanswered > 0)
    failures.push(`its admin port did not answer ${unanswered} of ${asked} times`);
  if (stayed === 0) failures.push('no client was left to be told');
  if (untold > 0) failures.push(`${untold} clients that are short were told no gap`);
  if (undertold > 0) failures.push(`${undertold} clients were told of less than they miss`);
  if (over > 0) failures.push(`${over} clients received something twice`);
  return failures;
}

function verdictText(failures: readonly string[], short: number, loose: number): string {
  if (failures.length > 0) return `FAILED: ${failures.join('; ')}`;
  if (short === 0) return 'passed, but nobody was short: there was no loss to be told';
  if (loose === 0) return 'passed';
  return `passed; ${loose} clients were told a loss without a number, or a larger one than they miss`;
}

/** The lines that a person reads. */
export function describeOverload(overload: Overload): string {
  const { saturation, trial, asked, unanswered, slowestAnswerMs, alive, linkLosses } = overload;
  const { received, expected, disconnected, stayed, gaps, gapLost } = trial;
  const { short, told, untold, undertold } = trial;
  const loose = short - told - untold - undertold;
  const failures = overloadFailures(overload);
  return [
    `Overload: ${formatNumber(trial.rate)} publications/s where ${formatNumber(saturation)} can be carried`,
    '',
    `server         ${alive ? 'alive' : 'NOT alive'} at the end`,
    `admin port     answered ${asked - unanswered} of ${asked}, the slowest in ${formatNumber(slowestAnswerMs)} ms`,
    `deliveries     ${formatNumber(received)} of ${formatNumber(expected)}`,
    `clients        ${disconnected} disconnected; ${short} of the ${stayed} others are short`,
    `short clients  ${untold} told no gap (0 is the goal), ${undertold} told of less than they miss (0 is the goal), ` +
      `${told} told exactly, ${loose} told that nobody knows how much, or of more`,
    `gap frames     ${gaps}, with ${formatNumber(gapLost)} losses; Redis cut the edge off ${linkLosses ?? '?'} times`,
    `verdict        ${verdictText(failures, short, loose)}`,
  ].join('\n');
}
