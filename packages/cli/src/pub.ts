import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { createPublisher, type Published, type Publisher } from '@tradewind/publisher';
import { connectRedis } from './redis.ts';
import type { PubSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** The most that is read from the input for one payload, in bytes; the publisher refuses far less with a clear code. */
const MAX_INPUT_BYTES = 1024 * 1024;

/** Lines that are published in one pipeline. */
const BATCH = 256;

/** Publishes what the command line says. Resolves with whether all of it was published. */
export async function publishFromTerminal(
  settings: PubSettings,
  terminal: Terminal,
): Promise<boolean> {
  const payload = settings.lines
    ? undefined
    : (settings.payload ?? (await readAll(terminal.input)));
  const redis = await connectRedis(settings);
  try {
    const publisher = createPublisher(redis, {
      history: settings.history,
      sharded: settings.isCluster && !settings.isClassic,
    });
    if (payload === undefined) return await publishLines(publisher, settings, terminal);
    const { channel, key } = settings;
    report(
      await publisher.publish(channel, payload, key === undefined ? {} : { key }),
      ...([settings, terminal] as const),
    );
    return true;
  } finally {
    redis.disconnect();
  }
}

async function publishLines(
  publisher: Publisher,
  settings: PubSettings,
  terminal: Terminal,
): Promise<boolean> {
  let hasFailed = false;
  const publish = async (lines: readonly string[]): Promise<void> => {
    const publications = lines.map((data) => ({ channel: settings.channel, data }));
    for (const result of await publisher.publishMany(publications)) {
      if (result.ok) report(result, settings, terminal);
      else {
        hasFailed = true;
        terminal.complain(`${result.error.code}: ${result.error.message}`);
      }
    }
  };
  let batch: string[] = [];
  const input = createInterface({ input: Readable.from(terminal.input), crlfDelay: Infinity });
  for await (const line of input) {
    if (terminal.stopped.aborted) break;
    batch.push(line);
    if (batch.length < BATCH) continue;
    await publish(batch);
    batch = [];
  }
  await publish(batch);
  return !hasFailed;
}

function report(
  { epoch, offset, duplicate }: Published,
  { channel, json }: PubSettings,
  terminal: Terminal,
): void {
  const text = `${channel} ${epoch}:${offset}${duplicate ? ' (published before)' : ''}`;
  terminal.print(json ? JSON.stringify({ channel, epoch, offset, duplicate }) : text);
}

/** All of the input without its last line feed. Rejects as a publisher does if it is not UTF-8. */
async function readAll(input: Terminal['input']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const buffer = Buffer.from(chunk as Uint8Array);
    bytes += buffer.length;
    if (bytes > MAX_INPUT_BYTES)
      throw new Error(`the input has more than ${MAX_INPUT_BYTES} bytes`);
    chunks.push(buffer);
  }
  const all = Buffer.concat(chunks);
  return all.at(-1) === 0x0a ? all.subarray(0, -1) : all;
}
