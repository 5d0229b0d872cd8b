import type { PublicationMessage } from '@tradewind/protocol';
import { type Consumer, type ConsumerOwner, gapBehind } from '../consumers/consumer.ts';
import { Reader } from '../consumers/reader.ts';
import type { Core } from '../core.ts';
import { ChannelError, ClosedError } from '../errors.ts';
import type { Cancel } from '../surroundings.ts';
import type {
  ChannelOptions,
  ChannelState,
  Gap,
  Position,
  Publication,
  StandardSchema,
} from '../types.ts';
import { ChannelView } from './channel-view.ts';
import type { Hold, NewResync } from './hold.ts';
import { validate } from './schema.ts';
import { Tail } from './tail.ts';

/** A channel continues at most once in this time for consumers that were paused: each time is a `subscribe`. */
const CONTINUE_EVERY_MS = 1_000;

/** What a channel needs of the connections. */
export interface ChannelOwner {
  readonly freshness: { lagOf(ts: number): number | undefined };
  readonly positions: { load(channel: string): Position | undefined; changed(): void };
  /** The channel has its first consumer. */
  activated(channel: HeldChannel): void;
  /** Nobody has read it for a while. */
  released(channel: HeldChannel): void;
  /** What the channel wants of its connection has changed. */
  reconcile(channel: HeldChannel): void;
  /** The first answer, or the end of the replay. */
  progressed(channel: HeldChannel): void;
}

/** A publication while it is made. */
type NewPublication = { -readonly [K in keyof Publication<unknown>]: Publication<unknown>[K] };

/** A channel, its consumers, and where they are. It knows connections only as its holds, and the application as its views. */
export class HeldChannel implements ConsumerOwner {
  readonly name: string;
  readonly #core: Core;
  readonly #owner: ChannelOwner;
  readonly #consumers = new Set<Consumer>();
  state: ChannelState = { name: 'idle' };
  epoch: string | undefined;
  /** The largest offset that was received. */
  offset: number | undefined;
  /** Offsets up to this one, behind the last publication, that are neither received nor lost. */
  #leftOut = 0;
  latest: Publication<unknown> | undefined;
  /** The hold that counts: the newest that was answered. */
  primary: Hold | undefined;
  /** Whether a connection has carried it since it was activated. */
  wasLive = false;
  /** Rejections in a row. */
  rejections = 0;
  /** Whether it waits for a retry. */
  isWaiting = false;
  #since: Position | undefined;
  history = 0;
  #schema: StandardSchema<unknown> | undefined;
  #invalid: 'report' | 'throw' = 'report';
  #tail: Tail | undefined;
  readonly #all = new ChannelView(this, undefined);
  /** By interval. Most channels have none, and an empty map takes 200 bytes. */
  #ofLatest: Map<number, ChannelView> | undefined;
  #quietSince: number | undefined;
  /** Whether it has consumers, or just had. */
  #isActive = false;
  #endLinger: Cancel | undefined;
  #endContinue: Cancel | undefined;
  #continuedAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, core: Core, owner: ChannelOwner) {
    this.name = name;
    this.#core = core;
    this.#owner = owner;
  }

  /** Options of a later call add to those of an earlier one. */
  configure({ since, history, schema, invalid }: ChannelOptions<unknown>): void {
    if (since !== undefined) this.#since = since;
    if (history !== undefined) this.history = Math.max(this.history, history);
    if (this.history > 0) this.#tail ??= new Tail();
    if (schema !== undefined) this.#schema = schema;
    if (invalid !== undefined) this.#invalid = invalid;
  }

  /** For those who want all, or the latest of each interval: always the same. */
  viewFor(everyMs: number | undefined): ChannelView {
    if (everyMs === undefined) return this.#all;
    this.#ofLatest ??= new Map();
    const known = this.#ofLatest.get(everyMs) ?? new ChannelView(this, everyMs);
    this.#ofLatest.set(everyMs, known);
    return known;
  }

  get position(): Position | undefined {
    const { epoch, offset } = this;
    return epoch === undefined || offset === undefined ? undefined : { epoch, offset };
  }

  get quietSince(): number | undefined {
    return this.state.name === 'live' ? this.#quietSince : undefined;
  }

  // For its consumers.

  /** @throws {ClosedError} if the client is closed, because it admits no consumers then. */
  throwIfClosed(): void {
    if (this.#core.isClosed) throw new ClosedError();
  }

  /** Takes a consumer, who wants all, or the latest of each interval. */
  admit(consumer: Consumer, everyMs: number | undefined): void {
    if (everyMs !== undefined) {
      const { surroundings } = this.#core;
      const servedMs = (): number => this.primary?.everyMs ?? 0;
      consumer.slowDown(everyMs, servedMs, (ms, act) => surroundings.after(ms, act));
    }
    this.#endLinger?.();
    this.#endLinger = undefined;
    this.#consumers.add(consumer);
    if (!this.#isActive) this.#activate();
    const past = this.#tail?.last(this.history) ?? [];
    const first = past[0]?.item;
    if (first?.kind !== 'publication') consumer.start(this.epoch, this.offset);
    else {
      consumer.start(first.epoch, first.offset === undefined ? undefined : first.offset - 1);
      // Nobody expects to be called before `subscribe` has returned.
      queueMicrotask(() => {
        if (!this.#consumers.has(consumer)) return;
        for (const { item, characters } of past) {
          if (item.kind === 'gap') consumer.gap(item);
          else consumer.publication({ ...item, replayed: true }, characters);
        }
      });
    }
    if (this.state.name === 'failed') {
      this.isWaiting = false;
      this.setState({ name: 'subscribing' });
    }
    this.#owner.reconcile(this);
    if (this.primary !== undefined) this.#resolveReady();
  }

  leave(consumer: Consumer): void {
    if (!this.#consumers.delete(consumer)) return;
    consumer.pace?.stop();
    if (this.#consumers.size > 0) {
      this.#owner.reconcile(this);
      return;
    }
    const { surroundings, settings } = this.#core;
    this.#endLinger = surroundings.after(settings.lingerMs, () => this.#release());
  }

  continueAgain(): void {
    if (this.#endContinue !== undefined) return;
    const { surroundings } = this.#core;
    const wait = this.#continuedAt + CONTINUE_EVERY_MS - surroundings.monotonic();
    this.#endContinue = surroundings.after(Math.max(0, wait), () => {
      this.#endContinue = undefined;
      this.#continuedAt = surroundings.monotonic();
      this.#owner.reconcile(this);
    });
  }

  guard(call: () => void): void {
    this.#core.guard(call);
  }

  later(act: () => void): void {
    this.#core.surroundings.after(0, act);
  }

  // For its client.

  /** Whether a connection should carry it. */
  get isWanted(): boolean {
    if (this.#endLinger !== undefined) return true;
    for (const { isPaused, wantsBack } of this.#consumers) {
      if (!isPaused || (wantsBack && this.#endContinue === undefined)) return true;
    }
    return false;
  }

  /** How often the server must send the latest; undefined if it must send all, because somebody wants all. */
  get everyMs(): number | undefined {
    let least: number | undefined = Number.POSITIVE_INFINITY;
    for (const { pace } of this.#consumers) {
      if (pace === undefined) return undefined;
      least = Math.min(least, pace.everyMs);
    }
    // While it lingers it stays as it is.
    return least === Number.POSITIVE_INFINITY ? this.primary?.askedEveryMs : least;
  }

  get needsRewind(): boolean {
    return this.#endContinue === undefined && this.returning.length > 0;
  }

  /** Paused consumers that would continue. */
  get returning(): readonly Consumer[] {
    return [...this.#consumers].filter(({ isPaused, wantsBack }) => isPaused && wantsBack);
  }

  /** Where a `subscribe` must continue: behind what the consumer has that is furthest back. */
  get askSince(): Position | undefined {
    const { epoch, offset } = this;
    if (epoch === undefined || offset === undefined) return undefined;
    let since = offset;
    for (const consumer of this.#consumers) {
      if (consumer.isPaused && !consumer.wantsBack) continue;
      if (consumer.epoch === epoch && consumer.offset !== undefined) {
        since = Math.min(since, consumer.offset);
      }
    }
    return { epoch, offset: since };
  }

  /** Up to where the application has used it: where another page would continue. */
  get used(): Position | undefined {
    let least = this.position;
    for (const { used } of this.#consumers) {
      if (used?.epoch === least?.epoch && used !== undefined && used.offset < least!.offset) {
        least = used;
      }
    }
    return least;
  }

  get waiting(): number {
    let sum = 0;
    for (const consumer of this.#consumers) sum += consumer.waiting;
    return sum;
  }

  setState(state: ChannelState): void {
    if (!this.#isActive) return;
    if (state.name === this.state.name && state.name !== 'retrying') return;
    this.#enter(state);
  }

  /** Ends the iterators, because a node refused the channel for good. Listeners stay for the next attempt. */
  fail(error: ChannelError): void {
    // A listener may subscribe when it hears `failed`. That consumer asks again, so this failure must not end it.
    const consumers = [...this.#consumers];
    this.setState({ name: 'failed', error });
    for (const { ready } of consumers) ready?.reject(error);
    endIterators(consumers, error);
  }

  /** The client is closed. */
  end(error: unknown): void {
    for (const consumer of [...this.#consumers]) {
      consumer.ready?.reject(error ?? new ClosedError());
      consumer.pace?.flush();
      consumer.pace?.stop();
      consumer.end(error);
    }
    this.#consumers.clear();
    this.#rest();
  }

  // For its holds.

  adopt(hold: Hold): void {
    if (!this.#isActive) return;
    this.primary = hold;
    this.wasLive = true;
    this.rejections = 0;
  }

  answered(hold: Hold): void {
    this.#quietSince = this.#core.surroundings.now();
    const isQuiet = hold.askedFor === 'handover' || hold.askedFor === 'rewind';
    if (!hold.isLive && !isQuiet) this.setState({ name: 'recovering' });
    this.#resolveReady();
    this.#owner.progressed(this);
  }

  /** The past has come. */
  replayed(hold: Hold): void {
    const { position } = this;
    if (hold.askedFor === 'resume' && hold.isRecovered && position !== undefined) {
      const recovered = { kind: 'recovered', channel: this.name, ...position } as const;
      for (const consumer of [...this.#consumers]) consumer.recovered(recovered);
    }
    this.setState({ name: 'live' });
    this.#owner.progressed(this);
  }

  /** Its offsets begin here. */
  begin(epoch: string, offset: number | undefined): void {
    this.epoch = epoch;
    this.offset = offset;
    this.#leftOut = 0;
    for (const consumer of this.#consumers) consumer.start(epoch, offset);
  }

  /** @param skipped how many before it the server left out, since the last one of this connection. */
  deliver(
    hold: Hold,
    frame: PublicationMessage,
    replayed: boolean,
    characters: number,
    skipped: number,
  ): void {
    const { offset, ts } = frame;
    if (hold !== this.primary) {
      const follows =
        this.offset !== undefined && hold.epoch === this.epoch && offset === this.offset + 1;
      if (!follows) {
        this.duplicate();
        return;
      }
    }
    const jumps = offset !== undefined && this.offset !== undefined && offset > this.offset + 1;
    if (jumps && !hold.skips(offset - 1)) {
      // A connection that counts again, because its successor died, was not listened to meanwhile.
      const [from, to] = [this.offset! + 1, offset! - 1];
      this.lost({ epoch: hold.epoch!, from, to, lost: to - from + 1, reason: 'handover' });
    }
    const isNew = offset === undefined || this.offset === undefined || offset > this.offset;
    let leftOut = skipped;
    if (isNew && offset !== undefined) {
      // Another connection may have brought some of what this one counts, and this one what was not listened to.
      if (this.offset !== undefined) leftOut = this.#leftOut + offset - this.offset - 1;
      this.#leftOut = 0;
      this.offset = offset;
    }
    const data = this.#checked(frame);
    if (data === undefined) return;
    const lagMs = replayed ? undefined : this.#owner.freshness.lagOf(ts);
    const publication: NewPublication = {
      kind: 'publication',
      channel: this.name,
      data: data.value,
      ts,
      replayed,
    };
    // Spreading what is optional would take as long as the parser.
    if (offset !== undefined) {
      publication.offset = offset;
      publication.epoch = hold.epoch!;
    }
    if (lagMs !== undefined) publication.lagMs = lagMs;
    if (leftOut > 0) publication.skipped = leftOut;
    if (isNew) {
      this.latest = publication;
      this.#tail?.add(publication, characters);
      if (!replayed) this.#quietSince = this.#core.surroundings.now();
    }
    let isTaken = false;
    let isPaused = false;
    for (const consumer of this.#consumers) {
      if (consumer.publication(publication, characters)) isTaken = true;
      isPaused ||= consumer.isPaused;
    }
    if (!isTaken && !isNew) this.duplicate();
    this.#owner.positions.changed();
    if (isPaused && !this.isWanted) this.#owner.reconcile(this);
  }

  lost(gap: Omit<Gap, 'kind' | 'channel'>): void {
    const told: Gap = { kind: 'gap', channel: this.name, ...gap };
    const isNew = gap.to === undefined || this.offset === undefined || gap.to > this.offset;
    if (isNew) {
      // A hold counts from where it was asked for, and another has delivered since. A consumer that paused is further back still.
      let own = told;
      if (gap.epoch === this.epoch) {
        own = gapBehind(told, this.offset);
        const { to, lost } = own;
        if (to !== undefined) {
          // Without the number of lost publications, the number of left out ones is unknown too.
          if (this.offset !== undefined && lost !== undefined)
            this.#leftOut += to - this.offset - lost;
          this.offset = to;
        }
      }
      this.#tail?.add(own);
      const { gaps } = this.#core;
      gaps[gap.reason] = (gaps[gap.reason] ?? 0) + 1;
      this.#core.emit('gap', own);
    }
    for (const consumer of [...this.#consumers]) consumer.gap(told);
  }

  /** What follows does not continue what came before. */
  restart(resync: NewResync): void {
    const told = { kind: 'resync', channel: this.name, ...resync } as const;
    this.epoch = resync.epoch;
    this.offset = resync.offset;
    this.#leftOut = 0;
    this.#tail?.clear();
    this.#core.emit('resync', told);
    for (const consumer of [...this.#consumers]) consumer.resync(told);
  }

  duplicate(): void {
    this.#core.counts.duplicates += 1;
  }

  #activate(): void {
    this.#isActive = true;
    this.wasLive = false;
    this.rejections = 0;
    const since = this.#since ?? this.#owner.positions.load(this.name);
    this.epoch = since?.epoch;
    this.offset = since?.offset;
    this.setState({ name: 'subscribing' });
    this.#owner.activated(this);
  }

  #release(): void {
    this.#endLinger = undefined;
    this.#owner.released(this);
    this.epoch = undefined;
    this.offset = undefined;
    this.#since = undefined;
    this.latest = undefined;
    this.#tail?.clear();
    this.#rest();
  }

  #rest(): void {
    this.#endLinger?.();
    this.#endLinger = undefined;
    this.#endContinue?.();
    this.#endContinue = undefined;
    // Without a primary hold, late frames of this channel are ignored.
    this.primary = undefined;
    if (!this.#isActive) return;
    // A listener may subscribe when it hears `idle`, which activates the channel again. So it must be inactive before.
    this.#isActive = false;
    this.#enter({ name: 'idle' });
  }

  /**
   * A listener that this calls may change the state again. Then all consumers have heard the newer state already, and hear the older
   * one no more. The remaining listeners of the client hear both, first the newer and then the older.
   */
  #enter(state: ChannelState): void {
    this.state = state;
    this.#core.emit('channel', { channel: this.name, state });
    for (const consumer of [...this.#consumers]) {
      if (this.state !== state) return;
      consumer.state(state);
    }
  }

  #resolveReady(): void {
    const { name: channel, epoch, offset } = this;
    const info = {
      channel,
      ...(epoch !== undefined && { epoch }),
      ...(offset !== undefined && { offset }),
    };
    for (const consumer of this.#consumers) {
      consumer.ready?.resolve(info);
      consumer.ready = undefined;
    }
  }

  #checked({ data }: PublicationMessage): { readonly value: unknown } | undefined {
    if (this.#schema === undefined) return { value: data };
    const result = validate(this.#schema, data);
    if ('value' in result) return result;
    const error = new ChannelError(this.name, 'invalid_data', false, result.problem);
    this.#core.counts.invalid += 1;
    this.#core.report(error);
    if (this.#invalid === 'throw') endIterators([...this.#consumers], error);
    return undefined;
  }
}

function endIterators(consumers: readonly Consumer[], error: ChannelError): void {
  for (const consumer of consumers) {
    if (!(consumer instanceof Reader)) continue;
    consumer.pace?.flush();
    consumer.end(error);
  }
}
