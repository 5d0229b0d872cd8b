import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WORKSPACE_NODE } from '@tradewind/dev';
import { formatNumber, formatTable } from '../figures/table.ts';

const PROGRAM = fileURLToPath(new URL('./sdk-cost-process.ts', import.meta.url));

/** The most that parsing a publication and handing it over may cost, in µs of CPU time. */
const MOST_US = 3;

/** The consumers that {@link MOST_US} is promised to. */
const PROMISED: readonly string[] = ['1 listener', '10 listeners', '1 iterator', '10 iterators'];

/** The most that a client may hold for its channels, in bytes: 1 KiB each. */
const MOST_BYTES_PER_CHANNEL = 1_024;

/** The longest time for which a client may hold the event loop, in ms. */
const LONGEST_HOLD_MS = 50;

/** What is measured: 170 bytes is the payload of a usual trade. */
const LOAD: SdkLoad = { publications: 50_000, payloadBytes: 170, rounds: 15, channels: 10_000 };
const QUICK_LOAD: SdkLoad = { ...LOAD, publications: 2_000, rounds: 1, channels: 1_000 };

export interface SdkLoad {
  /** Publications of one round. */
  readonly publications: number;
  readonly payloadBytes: number;
  readonly rounds: number;
  readonly channels: number;
}

export interface ConsumersCost {
  readonly consumers: string;
  /** CPU time of one publication to all of them, in µs. */
  readonly us: number;
}

export interface ChannelsCost {
  readonly channels: number;
  /** What the client holds for its channels, with a listener each, in bytes of the heap. */
  readonly heldBytes: number;
  /** The longest turn of the event loop while it subscribes, loses its node and subscribes again, in ms of CPU time. */
  readonly longestMs: number;
  /** `subscribe` frames after the loss. */
  readonly requests: number;
  readonly largestRequestBytes: number;
}

export interface SdkCost extends ChannelsCost {
  readonly consumers: readonly ConsumersCost[];
}

/** Measures the SDK in a process of its own. */
export async function runSdkCost(
  quick: boolean,
  payloadBytes = LOAD.payloadBytes,
): Promise<SdkCost> {
  const load = { ...(quick ? QUICK_LOAD : LOAD), payloadBytes };
  const { stdout } = await promisify(execFile)(WORKSPACE_NODE, [
    '--expose-gc',
    PROGRAM,
    JSON.stringify(load),
  ]);
  return JSON.parse(stdout) as SdkCost;
}

/** The lines that a person reads. */
export function describeSdkCost(cost: SdkCost, payloadBytes = LOAD.payloadBytes): string {
  const rows = cost.consumers.map(({ consumers, us }) => [consumers, formatNumber(us)]);
  return [
    `SDK: µs of CPU per publication of ${payloadBytes} bytes, from the frame to its consumers, medians; the socket costs the same without it`,
    '',
    formatTable(['consumers', 'µs'], rows),
    '',
    `${cost.channels} channels with a listener each hold ${formatNumber(cost.heldBytes / cost.channels)} bytes a channel.`,
    `A lost node takes ${cost.requests} requests of at most ${cost.largestRequestBytes} bytes; the longest turn took ${formatNumber(cost.longestMs)} ms of CPU.`,
  ].join('\n');
}

/** What is above its bound. */
export function sdkCostFailures(cost: SdkCost): readonly string[] {
  const failures = cost.consumers
    .filter(({ consumers, us }) => PROMISED.includes(consumers) && us > MOST_US)
    .map(({ consumers, us }) => `${consumers}: ${formatNumber(us)} µs, and not ${MOST_US}`);
  if (cost.heldBytes > cost.channels * MOST_BYTES_PER_CHANNEL)
    failures.push(`${cost.heldBytes} bytes for ${cost.channels} channels`);
  if (cost.longestMs > LONGEST_HOLD_MS)
    failures.push(`a turn took ${formatNumber(cost.longestMs)} ms, and not ${LONGEST_HOLD_MS}`);
  return failures;
}
