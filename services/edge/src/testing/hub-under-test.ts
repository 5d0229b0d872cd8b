import type { Publication } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import type { Acknowledgement, Feed, FeedListener, GapNotice } from '../feed.ts';
import { Hub, type HubEvents, type HubLimits, type Source, type SourceError } from '../hub.ts';

/** Redis as the hub sees it: what is wanted of it, and every call as `+channel` or `-channel`. */
export class FakeSource implements Source {
  readonly wanted = new Set<string>();
  readonly calls: string[] = [];

  want(channel: string): void {
    this.wanted.add(channel);
    this.calls.push(`+${channel}`);
  }

  unwant(channel: string): void {
    this.wanted.delete(channel);
    this.calls.push(`-${channel}`);
  }
}

/** A worker that writes down what it is told, one line an event. */
export class RecordingWorker implements FeedListener {
  readonly told: string[] = [];
  readonly refs = new Map<string, number>();

  acknowledged(acknowledgements: readonly Acknowledgement[]): void {
    for (const { channel, ref } of acknowledgements) this.refs.set(channel, ref);
    this.told.push(`acknowledged ${acknowledgements.map(({ channel }) => channel).join()}`);
  }

  refused(channels: readonly string[], code: ErrorCode): void {
    this.told.push(`refused ${channels.join()} ${code}`);
  }

  published({ channel, tail }: Publication): void {
    const { data } = JSON.parse(`{"seq":1${Buffer.from(tail)}`) as { data: unknown };
    this.told.push(`published ${channel} ${String(data)}`);
  }

  gap({ channel, reason }: GapNotice): void {
    this.told.push(`gap ${channel} ${reason}`);
  }

  degraded(): void {
    this.told.push('degraded');
  }

  restored(): void {
    this.told.push('restored');
  }

  /** What it was told since the last call. */
  news(): string[] {
    return this.told.splice(0);
  }
}

export interface HubUnderTest {
  readonly hub: Hub;
  readonly source: FakeSource;
  /** What the hub reported, one line an event. */
  readonly reported: string[];
  worker(): Promise<{ readonly feed: Feed; readonly worker: RecordingWorker }>;
}

/** What Redis answers to a SUBSCRIBE that it does not execute. */
export function refusalOf(code: string): SourceError {
  return Object.assign(new Error(code), { code });
}

/** A hub that is linked to Redis, unless the test says otherwise. */
export function createHub(changes: Partial<HubLimits> = {}, linked = true): HubUnderTest {
  const source = new FakeSource();
  const reported: string[] = [];
  const events: HubEvents = {
    received: (channel, bytes) => reported.push(`received ${channel} ${bytes}`),
    dropped: (channel, reason) => reported.push(`dropped ${channel} ${reason}`),
    refused: (channel, error) => reported.push(`refused ${channel} ${error.message}`),
    degraded: (cause) => reported.push(`degraded ${cause}`),
    notLinkedYet: (cause) => reported.push(`not linked yet ${cause}`),
    restored: (afterMs) => reported.push(`restored ${afterMs}`),
  };
  const limits: HubLimits = {
    maxChannels: 100,
    subscribeRate: { perSecond: 1_000, burst: 1_000 },
    lingerMs: 3_000,
    maxPublicationBytes: 100,
    ...changes,
  };
  const hub = new Hub(source, limits, events);
  if (linked) hub.linkRestored();
  reported.length = 0;
  return {
    hub,
    source,
    reported,
    async worker() {
      const worker = new RecordingWorker();
      const feed = hub.connect(worker);
      await answers();
      worker.news();
      return { feed, worker };
    },
  };
}

/** Lets the hub give the answers that it never gives before a call has returned. */
export async function answers(): Promise<void> {
  await Promise.resolve();
}
