import { setTimeout as sleep } from 'node:timers/promises';

/** Requests a second; each holds several publications of every channel. */
const ROUNDS_PER_SECOND = 5;
const NUMBERS_PER_ROUND = 2;

/** Publications a second on each channel. */
export const PER_CHANNEL_AND_SECOND = ROUNDS_PER_SECOND * NUMBERS_PER_ROUND;

/** How far behind its schedule it may be and still catch up, in ms. */
const MAX_BEHIND_MS = 1_000;

/** The publications: `{"n":1}`, `{"n":2}`, … on each channel. */
export interface Published {
  /** The last number, the same on every channel. */
  readonly last: number;
  readonly perSecond: number;
}

/** A steady load on channels, through an ingest. */
export interface NumberedLoad {
  /** Stops, and resolves with the publications. Rejects with the failure, if there was one. */
  stop(): Promise<Published>;
}

/** Publishes `{"n":1}` on every channel, so that all have offsets, and then continues at its pace. */
export async function startNumberedLoad(
  ingestUrl: string,
  channels: readonly string[],
): Promise<NumberedLoad> {
  const running = new AbortController();
  let last = 0;

  async function publishRound(numbers: number): Promise<void> {
    const round = Array.from({ length: numbers }, (_, i) => ({ n: last + 1 + i }));
    const items = round.flatMap((data) => channels.map((channel) => ({ channel, data })));
    const answer = await fetch(`${ingestUrl}/v1/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(items),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`ingest answered ${answer.status}: ${text}`);
    last += numbers;
  }

  await publishRound(1);
  const startedAt = performance.now();
  const done = (async () => {
    let dueAt = startedAt;
    while (!running.signal.aborted) {
      await publishRound(NUMBERS_PER_ROUND);
      dueAt = Math.max(dueAt + 1_000 / ROUNDS_PER_SECOND, performance.now() - MAX_BEHIND_MS);
      await sleep(Math.max(0, dueAt - performance.now()));
    }
  })();
  // `stop` reports a failure; until then it must not end the process.
  done.catch(() => {});
  return {
    async stop() {
      running.abort();
      await done;
      const seconds = (performance.now() - startedAt) / 1_000;
      return { last, perSecond: ((last - 1) * channels.length) / seconds };
    },
  };
}
