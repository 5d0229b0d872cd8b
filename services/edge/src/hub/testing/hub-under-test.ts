import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inflateRawSync } from 'node:zlib';
import { inOrder, isHole, type Publication, type WireChannel } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';

import type {
  Acknowledgement,
  FeedListener,
  GapNotice,
  HistoryAnswer,
  ResyncNotice,
} from '../../feed.ts';
import type { HistoryPage } from '../../sequence/message.ts';
import type { ChannelStore, StoreFault } from '../channel-store.ts';
import {
  Hub,
  type HubEvents,
  type HubFeed,
  type HubLimits,
  type Source,
  type SourceError,
} from '../hub.ts';
import { PayloadDeflater, type ReferenceTerms } from '../payload-deflater.ts';

/** The link to Redis as the hub sees it. It records the wanted channels, and each call as `+channel` or `-channel`. */
export class FakeSource implements Source {
  readonly wanted = new Set<string>();
  readonly calls: string[] = [];
  identity: string | undefined = 'server-1';

  want(channel: string): void {
    this.wanted.add(channel);
    this.calls.push(`+${channel}`);
  }

  unwant(channel: string): void {
    this.wanted.delete(channel);
    this.calls.push(`-${channel}`);
  }

  async serverIdentity(): Promise<string | undefined> {
    return this.identity;
  }
}

/** What Redis keeps, under a test's control. */
export class FakeChannelStore implements ChannelStore {
  readonly positions = new Map<string, Position>();
  readonly logs = new Map<string, HistoryPage['publications'][number][]>();
  /** The reads and writes, one line each. */
  readonly calls: string[] = [];
  /** The bytes of payload that were read. */
  bytesRead = 0;
  /** The errors that these calls reject with, if any. */
  readonly faults: { positions?: Error; history?: Error; epoch?: Error } = {};
  linksLeadToOneServer = true;
  #epochs = 0;

  async readPositions(channels: readonly string[]): Promise<readonly (Position | undefined)[]> {
    this.calls.push(`positions ${channels.join()}`);
    if (this.faults.positions !== undefined) throw this.faults.positions;
    return channels.map((channel) => this.positions.get(channel));
  }

  async readHistory(
    channel: string,
    from: number,
    limit: number,
    to = Number.POSITIVE_INFINITY,
  ): Promise<HistoryPage> {
    this.calls.push(`history ${channel} ${from}`);
    if (this.faults.history !== undefined) throw this.faults.history;
    const log = this.logs.get(channel) ?? [];
    const publications = log.filter(({ offset }) => offset >= from && offset <= to).slice(0, limit);
    for (const { payload } of publications) this.bytesRead += payload.length;
    return { position: this.positions.get(channel), publications };
  }

  async startEpoch(channel: string, expected: string | undefined): Promise<boolean> {
    this.calls.push(`epoch ${channel} ${expected}`);
    if (this.faults.epoch !== undefined) throw this.faults.epoch;
    const position = this.positions.get(channel);
    if (position !== undefined && position.epoch !== expected) return false;
    this.#epochs += 1;
    this.positions.set(channel, { epoch: `new${this.#epochs}`, offset: position?.offset ?? 0 });
    return true;
  }

  async linksAgree(): Promise<boolean> {
    return this.linksLeadToOneServer;
  }

  faultOf(error: unknown): StoreFault | undefined {
    return error instanceof StoreError ? error.fault : undefined;
  }
}

/** A failure of the fake Redis. */
export class StoreError extends Error {
  readonly fault: StoreFault;

  constructor(fault: StoreFault) {
    super(fault);
    this.fault = fault;
  }
}

/** A worker that records what it is told, one line an event. */
export class RecordingWorker implements FeedListener {
  readonly told: string[] = [];
  readonly refs = new Map<string, number>();
  readonly positions = new Map<string, Position | undefined>();
  /** The payloads that came deflated, inflated against the reference that it was told last. */
  readonly inflated: string[] = [];

  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void {
    for (const { channel, wire, position } of acknowledgements) {
      this.refs.set(channel, wire.ref);
      this.positions.set(channel, position);
    }
    this.told.push(`acknowledged ${acknowledgements.map(({ channel }) => channel).join()}`);
  }

  onRefused(channels: readonly string[], code: ErrorCode): void {
    this.told.push(`refused ${channels.join()} ${code}`);
  }

  onPublication({ channel, body, wire, deflated }: Publication): void {
    // Without a reference the channel is not wanted deflated any more: this one was on its way, and is read raw.
    if (deflated !== undefined && wire?.reference !== undefined) {
      assert.equal(deflated.reference, wire?.reference?.id);
      const dictionary = Buffer.from(wire?.reference?.data ?? '');
      this.inflated.push(String(inflateRawSync(deflated.bytes, { dictionary })));
    }
    const { data } = JSON.parse(`{"seq":1${Buffer.from(body)}`) as { data: unknown };
    this.told.push(`published ${channel} ${String(data)}`);
  }

  onReference(channel: string, { reference }: WireChannel): void {
    this.told.push(`reference ${reference?.id} of ${channel}`);
  }

  onGap({ channel, from, to, reason }: GapNotice): void {
    const range = from === undefined ? '' : `${from}-${to} `;
    this.told.push(`gap ${channel} ${range}${reason}`);
  }

  onResync({ channel, epoch, offset }: ResyncNotice): void {
    this.told.push(`resync ${channel} ${epoch} ${offset}`);
  }

  /** For `Feed.readHistory`. */
  recordHistory({ channel, publications, gaps, code, tooLongBefore }: HistoryAnswer): void {
    const offsets = inOrder(publications, gaps).map((item) =>
      isHole(item) ? `${item.reason} ${item.from}-${item.to}` : `${item.offset}`,
    );
    const limit = tooLongBefore === undefined ? '' : `too long before ${tooLongBefore} `;
    this.told.push(`history ${channel} ${limit}${code ?? offsets.join()}`);
  }

  /** For `Feed.confirmEnd`. */
  recordEnd(channel: string, code: ErrorCode | undefined): void {
    this.told.push(`end ${channel} ${code ?? 'confirmed'}`);
  }

  onDegraded(_since: number, channels?: readonly string[]): void {
    this.told.push(channels === undefined ? 'degraded' : `degraded ${channels.join()}`);
  }

  onRestored(): void {
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
  readonly store: FakeChannelStore;
  /** What the hub reported, one line an event. */
  readonly reported: string[];
  worker(): Promise<{ readonly feed: RecordedFeed; readonly worker: RecordingWorker }>;
}

/** The feed of a {@link RecordingWorker}, which records the answers. */
export interface RecordedFeed extends Pick<HubFeed, 'declare' | 'drop' | 'wantDeflated' | 'close'> {
  readHistory(channel: string, from: number): void;
  fillIn(channel: string, from: number): void;
  confirmEnd(channel: string): void;
}

/** The error with which Redis refuses a SUBSCRIBE. */
export function refusalOf(code: string): SourceError {
  return Object.assign(new Error(code), { code });
}

/** By this clock deflating takes no time, so that a busy machine does not decide what a test sees. */
const STOPPED_CLOCK = (): number => 0;

/** A hub that is linked to Redis, unless the test says otherwise. */
export function createHub(
  changes: Partial<HubLimits> = {},
  linked = true,
  store = new FakeChannelStore(),
  terms?: ReferenceTerms,
): HubUnderTest {
  const source = new FakeSource();
  const reported: string[] = [];
  const events: HubEvents = {
    limited: (limit, isEnforced) => reported.push(`limited ${limit} ${isEnforced}`),
    received: (channel, bytes) => reported.push(`received ${channel} ${bytes}`),
    dropped: (channel, reason) => reported.push(`dropped ${channel} ${reason}`),
    headerRejected: (channel, reason) => reported.push(`header rejected ${channel} ${reason}`),
    lost: (channel, count, reason) => reported.push(`lost ${channel} ${count} ${reason}`),
    repaired: (channel, count) => reported.push(`repaired ${channel} ${count}`),
    resynced: (channel, { epoch, offset }) =>
      reported.push(`resynced ${channel} ${epoch} ${offset}`),
    historyRead: (cause) => reported.push(`history read ${cause}`),
    historyBytesRead: () => {},
    epochStarted: (channel) => reported.push(`epoch started ${channel}`),
    recoveryRefused: (channel) => reported.push(`recovery refused ${channel}`),
    recoveryDelayed: (channel, cause) => reported.push(`recovery delayed ${channel} ${cause}`),
    refused: (channel, error) => reported.push(`refused ${channel} ${error.message}`),
    degraded: (cause) => reported.push(`degraded ${cause}`),
    neverLinked: (cause) => reported.push(`not linked yet ${cause}`),
    linked: (afterMs) => reported.push(`linked ${afterMs}`),
    restored: (afterMs, shard) =>
      reported.push(['restored', afterMs, shard].filter((part) => part !== undefined).join(' ')),
  };
  const limits: HubLimits = {
    maxChannels: 100,
    subscribeRate: { perSecond: 1_000, burst: 1_000 },
    enforcesRates: true,
    lingerMs: 3_000,
    maxPublicationBytes: 100,
    maxHistory: 100,
    maxReplayBytes: 1_000_000,
    historyReadRate: { perSecond: 1_000_000, burst: 1_000_000 },
    idleCheckMs: 0,
    ...changes,
  };
  const hub = new Hub(source, store, limits, events, new PayloadDeflater(STOPPED_CLOCK, terms));
  if (linked) hub.linkRestored();
  reported.length = 0;
  return {
    hub,
    source,
    store,
    reported,
    async worker() {
      const worker = new RecordingWorker();
      const feed = hub.connect(worker);
      await answers();
      worker.news();
      return { feed: recordFeed(feed, worker), worker };
    },
  };
}

function recordFeed(feed: HubFeed, worker: RecordingWorker): RecordedFeed {
  const record = (answer: HistoryAnswer): void => worker.recordHistory(answer);
  return {
    ...feed,
    readHistory: (channel, from) => feed.readHistory(channel, from, record),
    fillIn: (channel, from) => feed.fillIn(channel, from, record),
    confirmEnd: (channel) => feed.confirmEnd(channel, (code) => worker.recordEnd(channel, code)),
  };
}

/** More turns of the event loop than a read takes, from its request to the effect of its answer. */
const TURNS = 4;

/** Lets the hub finish its reads, and give the answers that it gives only after a call has returned. */
export async function answers(): Promise<void> {
  for (let i = 0; i < TURNS; i += 1) await nextTurn();
}
