import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../sequence/message.ts';
import type { HubLimits } from '../hub.ts';
import {
  answers,
  createHub,
  type HubUnderTest,
  type RecordedFeed,
  type RecordingWorker,
} from './hub-under-test.ts';

/** ms since the Unix epoch. */
export const NOW = 1_795_416_898_000;

/** The offset at which the channel of a live hub begins. */
const BEGUN_AT = 4;

/** When a publication was made, in ms since the Unix epoch. Those before the test are old. */
export function timeOf(offset: number): number {
  return offset > BEGUN_AT ? NOW + offset : NOW - 60_000 + offset;
}

/** The entry of Redis' history under an offset. */
export function entry(offset: number, text = String(offset)): HistoryEntry {
  return { offset, publishedAt: timeOf(offset), payload: Buffer.from(text) };
}

/** The entries from one offset to another, both inclusive. */
export function entries(from: number, to: number): HistoryEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
}

/** A message with a header, as Redis delivers it. */
export function sequenced(offset: number, epoch = 'E', publishedAt = timeOf(offset)): Buffer {
  return Buffer.from(`@1:${epoch}:${offset}:${publishedAt};${offset}`);
}

export interface LiveHub extends HubUnderTest {
  readonly feed: RecordedFeed;
  readonly told: RecordingWorker;
  /** Publishes these offsets of epoch E: position, history and message. */
  publish(...offsets: number[]): void;
}

/** A hub with one channel, `a`, at offset 4 of epoch E. The caller must stop it. */
export async function createLiveHub(limits: Partial<HubLimits> = {}): Promise<LiveHub> {
  const under = createHub(limits);
  const { hub, store } = under;
  store.positions.set('a', { epoch: 'E', offset: BEGUN_AT });
  store.logs.set('a', entries(1, BEGUN_AT));
  const { feed, worker: told } = await under.worker();
  feed.declare('a');
  hub.subscribed(['a']);
  await answers();
  assert.deepEqual(told.news(), ['acknowledged a']);
  store.calls.length = 0;
  under.reported.length = 0;
  return {
    ...{ ...under, feed, told },
    publish(...offsets) {
      store.positions.set('a', { epoch: 'E', offset: offsets.at(-1)! });
      store.logs.set('a', [...store.logs.get('a')!, ...offsets.map((offset) => entry(offset))]);
      for (const offset of offsets) hub.message('a', sequenced(offset));
    },
  };
}
