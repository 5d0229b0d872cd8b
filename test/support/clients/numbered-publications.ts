import type { Redis } from 'ioredis';
import type { TestClient } from './client.ts';

/** A running series of publications; `stop` ends it and resolves with their number. */
export interface NumberedPublications {
  stop(): Promise<number>;
}

/** Publishes `{"n":1}`, `{"n":2}`, … on a channel, with a pause after each, until it is stopped. */
export function publishNumbered(
  backend: Redis,
  channel: string,
  everyMs: number,
): NumberedPublications {
  let n = 0;
  let running = true;
  const done = (async () => {
    while (running) {
      n += 1;
      await backend.publish(channel, JSON.stringify({ n }));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    async stop() {
      running = false;
      await done;
      return n;
    },
  };
}

/**
 * Returns the number of the last publication of {@link publishNumbered} that a client received or that a `gap` reported
 * as lost. The client must have no other channel.
 *
 * @param after the number of the last publication before it subscribed.
 * @throws Error if a publication is missing without a `gap` of exactly its place and size before the next one, or if
 * `seq` skips a number that no `gap` reports.
 */
export function lastAccountedFor(client: TestClient, channel: string, after = 0): number {
  const frames = [...client.publicationsOn(channel), ...gapsOn(client, channel)];
  frames.sort((a, b) => a.index - b.index);
  let last = after;
  let lastSeq = 0;
  let told = 0;
  for (const frame of frames) {
    if (!('seq' in frame)) {
      if (frame.lost === undefined) throw new Error(`after ${last} a gap of unknown size`);
      told += frame.lost;
      continue;
    }
    const { n } = JSON.parse(frame.data) as { readonly n: number };
    if (n !== last + told + 1) throw new Error(`${n} follows ${last}, reported as lost: ${told}`);
    const passedOver = frame.seq - lastSeq - 1;
    if (passedOver < 0 || passedOver > told) {
      throw new Error(`seq ${frame.seq} follows ${lastSeq}, reported as lost: ${told}`);
    }
    last = n;
    lastSeq = frame.seq;
    told = 0;
  }
  return last + told;
}

/** The `gap` frames that a client received for one channel, oldest first. */
export function gapsOn(client: TestClient, channel: string) {
  return client.controlsOf('gap').filter((gap) => gap.channel === channel);
}
