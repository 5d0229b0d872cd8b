import { parseArgs } from 'node:util';
import type { Pace } from './pace.ts';

export const REPLAY_USAGE = `usage: npx node services/ingest/src/replay-main.ts FILE [--speed N | --rate N] [--to URL]
                                                         [--run-id ID] [--from-line N]

Publishes a file of trades, one JSON object a line, to <symbol>.trade.

  --speed N      N times as fast as the trades' own times (default 1)
  --rate N       N trades per second, whatever their times ("1000" or "1000/s")
  --to URL       through an ingest service, such as http://127.0.0.1:8081, with the first of
                 INGEST_TOKENS; by default straight to Redis, by REDIS_URL and its companions
  --from-line N  begins at this line (default 1). A replay that is interrupted prints the command
                 that continues it
  --run-id ID    continues this run, whose id the summary prints; by default the run is a new one.
                 A trade that this run has published is published again only when Redis has
                 forgotten it, INGEST_IDEMPOTENCY_SECONDS later

The exit code is 0 if every line was published, 65 if some lines were no trades, and 1 if the replay had to stop.
`;

/** The arguments of the replay command. */
export interface ReplayArguments {
  readonly file: string;
  readonly pace: Pace;
  /** The ingest service to go through, or undefined for Redis. */
  readonly to: string | undefined;
  /** The run's id, or undefined for a new one. */
  readonly runId: string | undefined;
  /** The first line to publish, from 1. */
  readonly fromLine: number;
}

/** The arguments are invalid; the message says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const RUN_ID = /^[A-Za-z0-9._-]{1,64}$/;
const LINE_NUMBER = /^[1-9][0-9]{0,14}$/;
const POSITIVE_DECIMAL = /^[0-9]+(\.[0-9]+)?$/;

/**
 * Reads the command's arguments.
 *
 * @throws UsageError
 */
export function parseReplayArguments(args: readonly string[]): ReplayArguments {
  const { values, positionals } = parse(args);
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError('name exactly one FILE');
  return {
    file,
    pace: paceOf(values.speed, values.rate),
    to: destinationOf(values.to),
    runId: runIdOf(values['run-id']),
    fromLine: lineOf(values['from-line']),
  };
}

/**
 * Returns the arguments that continue the run `runId` at `line`, and are otherwise those of `args`.
 *
 * @param args arguments that {@link parseReplayArguments} accepted.
 */
export function continuedArguments(
  args: readonly string[],
  runId: string,
  line: number,
): readonly string[] {
  const replaced = new Set<number>();
  for (const token of parse(args).tokens) {
    if (token.kind !== 'option' || !['run-id', 'from-line'].includes(token.name)) continue;
    replaced.add(token.index);
    if (!token.inlineValue) replaced.add(token.index + 1);
  }
  const kept = args.filter((_, index) => !replaced.has(index));
  return ['--run-id', runId, '--from-line', String(line), ...kept];
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      tokens: true,
      options: {
        speed: { type: 'string' },
        rate: { type: 'string' },
        to: { type: 'string' },
        'run-id': { type: 'string' },
        'from-line': { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function paceOf(speed: string | undefined, rate: string | undefined): Pace {
  if (speed !== undefined && rate !== undefined) {
    throw new UsageError('give --speed or --rate, not both');
  }
  if (rate !== undefined) {
    return { kind: 'rate', perSecond: positive('--rate', rate.replace(/\/s$/, '')) };
  }
  return { kind: 'own', speed: speed === undefined ? 1 : positive('--speed', speed) };
}

function positive(option: string, text: string): number {
  const number = POSITIVE_DECIMAL.test(text) ? Number(text) : 0;
  if (number > 0 && Number.isFinite(number)) return number;
  throw new UsageError(`${option} must be a number above 0`);
}

function runIdOf(id: string | undefined): string | undefined {
  if (id === undefined || RUN_ID.test(id)) return id;
  throw new UsageError('--run-id must be 1 to 64 letters, digits, dots, hyphens or underscores');
}

function lineOf(line: string | undefined): number {
  if (line === undefined) return 1;
  if (LINE_NUMBER.test(line)) return Number(line);
  throw new UsageError('--from-line must be a whole number from 1');
}

function destinationOf(to: string | undefined): string | undefined {
  if (to === undefined) return undefined;
  if (URL.canParse(to) && /^https?:$/.test(new URL(to).protocol)) return to;
  throw new UsageError('--to must be an http: or https: URL');
}
