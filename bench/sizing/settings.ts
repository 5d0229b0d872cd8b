import { parseArgs } from 'node:util';
import { ASSUMED } from './measured.ts';
import type { Load } from './model.ts';

export const SIZING_USAGE = `npm run sizing [-- redis|shards|OPTIONS]

  Prints the tables of docs/sizing.md, computed from what was measured.
  redis   measures what a publication costs one Redis core, and each subscribed edge more; about a minute, alone on the machine
  shards  measures the CPU of Redis and of edges with one shard and with three, at one rate

  With options, what a load of your own needs:
  --clients N      clients that are connected at once; 1 to 1e9
  --each N         channels that one client has; 1 by default
  --channels N     channels that there are; 1000 by default, and never fewer than --each
  --rate N         publications a second on each channel; 1 by default, and may have a fraction
  --payload BYTES  a publication as it was published; ${ASSUMED.payloadBytes} by default

  npm run sizing -- --clients 50000 --each 10 --channels 2000 --rate 2.5 --payload 300
`;

/** What the command line asks for. */
export type SizingCommand =
  | { readonly kind: 'tables' | 'redis' | 'shards' | 'help' }
  /** What a load of the caller's own needs. */
  | { readonly kind: 'own'; readonly load: Load }
  /** A mistake, as a sentence. */
  | { readonly kind: 'mistake'; readonly message: string };

/** The largest number of an option. Beyond it the tables are of nobody's load. */
const MOST = 1e9;

/** Reads the command line; what it does not know is a mistake. */
export function readSizingCommand(args: readonly string[]): SizingCommand {
  const [command] = args;
  if (command === undefined) return { kind: 'tables' };
  if (args.includes('--help')) return { kind: 'help' };
  if (args.length === 1 && (command === 'redis' || command === 'shards')) return { kind: command };
  try {
    return { kind: 'own', load: readLoad(args) };
  } catch (error) {
    return { kind: 'mistake', message: (error as Error).message };
  }
}

/** @throws {TypeError} for an option that is unknown, missing or out of its range. */
function readLoad(args: readonly string[]): Load {
  const text = { type: 'string' } as const;
  const options = { clients: text, each: text, channels: text, rate: text, payload: text };
  const { values } = parseArgs({ args: [...args], options });
  if (values.clients === undefined) throw new TypeError('--clients is missing.');
  const channelsPerClient = whole('each', values.each ?? '1');
  const channels = whole('channels', values.channels ?? String(Math.max(1_000, channelsPerClient)));
  if (channels < channelsPerClient)
    throw new TypeError('--channels must not be fewer than --each.');
  return {
    clients: whole('clients', values.clients),
    channelsPerClient,
    channels,
    ratePerChannel: positive('rate', values.rate ?? '1'),
    payloadBytes: whole('payload', values.payload ?? String(ASSUMED.payloadBytes)),
  };
}

function whole(name: string, text: string): number {
  const value = positive(name, text);
  if (!Number.isInteger(value)) throw new TypeError(`--${name} must be a whole number.`);
  return value;
}

function positive(name: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value > 0 && value <= MOST) return value;
  throw new TypeError(`--${name} must be a number above 0 and at most ${MOST}.`);
}
