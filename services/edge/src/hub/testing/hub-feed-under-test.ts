import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '@tradewind/protocol';
import type { Feed, FeedListener } from '../../feed.ts';
import type { Hub } from '../hub.ts';
import type { DeflatingFeedUnderTest } from './feed.contract.ts';
import { createHub, RecordingWorker, refusalOf } from './hub-under-test.ts';
import { entry, sequenced } from './live-hub.ts';

/** Connects a worker to a hub, and ends that connection. */
export interface HubConnection {
  readonly feed: Feed;
  close(): void;
}

/** More turns of the event loop than an event takes to the worker, across a port too, and an answer takes back. */
const TURNS = 24;

/** A feed from a hub whose Redis is under a test's control. */
export async function openHubFeed(
  connect: (hub: Hub, listener: FeedListener) => HubConnection,
): Promise<DeflatingFeedUnderTest> {
  const { hub, source, store } = createHub();
  const worker = new RecordingWorker();
  const { feed, close } = connect(hub, worker);
  const confirmed = new Set<string>();
  let isLinked = true;

  async function news(): Promise<readonly string[]> {
    for (let i = 0; i < TURNS; i += 1) await nextTurn();
    return worker.news();
  }

  /** Writes a publication as the script would, and returns the message for the subscribers. */
  function write(channel: string, { epoch, offset }: Position, isKept = true): Buffer {
    store.positions.set(channel, { epoch, offset });
    if (isKept) store.logs.set(channel, [...(store.logs.get(channel) ?? []), entry(offset)]);
    return sequenced(offset, epoch);
  }

  function deliver(channel: string, message: Buffer): void {
    if (isLinked && confirmed.has(channel)) hub.message(channel, message);
  }

  function next(channel: string, by = 1): Position {
    const { epoch, offset } = store.positions.get(channel) as Position;
    return { epoch, offset: offset + by };
  }

  await news();
  return {
    ...{ feed, news, told: worker.told, refs: worker.refs, positions: worker.positions },
    inflated: worker.inflated,
    readHistory(channel, from) {
      feed.readHistory(channel, from, (answer) => worker.recordHistory(answer));
    },
    confirmEnd(channel) {
      feed.confirmEnd(channel, (code) => worker.recordEnd(channel, code));
    },
    place(channel, position) {
      store.positions.set(channel, position);
      const offsets = Array.from({ length: position.offset }, (_, i) => i + 1);
      store.logs.set(
        channel,
        offsets.map((offset) => entry(offset)),
      );
    },
    confirm(channel) {
      confirmed.add(channel);
      hub.subscribed([channel]);
    },
    refuse(channel) {
      confirmed.delete(channel);
      hub.refused(channel, refusalOf('NOPERM'));
    },
    publish(channel, count = 1) {
      for (let i = 0; i < count; i += 1) deliver(channel, write(channel, next(channel)));
    },
    publishText(channel, text) {
      const position = next(channel);
      store.positions.set(channel, position);
      const header = Buffer.from(`@1:${position.epoch}:${position.offset}:1;`);
      deliver(channel, Buffer.concat([header, Buffer.from(text)]));
    },
    publishBehindLost(channel) {
      write(channel, next(channel), false);
      deliver(channel, write(channel, next(channel)));
    },
    beginEpoch(channel, epoch) {
      store.logs.set(channel, []);
      deliver(channel, write(channel, { epoch, offset: 1 }));
    },
    cutOff() {
      isLinked = false;
      hub.linkLost('the test cut it');
    },
    restore() {
      isLinked = true;
      hub.subscribed([...source.wanted].filter((channel) => confirmed.has(channel)));
      hub.linkRestored();
    },
    async [Symbol.asyncDispose]() {
      close();
      hub.stop();
    },
  };
}
