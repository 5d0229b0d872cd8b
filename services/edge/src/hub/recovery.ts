import type { Position } from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';
import type { SequenceAction } from '../sequence/sequence-action.ts';
import type { HubChannel } from './channel.ts';
import type { ChannelStore } from './channel-store.ts';
import { HistoryBudget, LONGEST_WAIT_MS } from './history-budget.ts';
import { HistoryPages, type ReplayBounds } from './history-pages.ts';
import { CHECK_INTERVAL_MS, IdleChannelChecks } from './idle-channel-checks.ts';
import { PositionReader } from './position-reader.ts';
import { WorkerHistory } from './worker-history.ts';

/** How a node reads history and checks channels. */
export interface RecoverySettings extends ReplayBounds {
  /** The most publications that one read of history returns; 0 if history is not read. */
  readonly maxHistory: number;
  /** The bytes of history that Redis may send for clients that resume. */
  readonly historyReadRate: Rate;
  /** The longest time between two checks of a quiet channel's end, in ms; 0 for no checks. */
  readonly idleCheckMs: number;
}

/** Why history was read. */
export type HistoryCause = 'repair' | 'resume';

/** Reports what recovery does. */
export interface RecoveryEvents {
  historyRead(cause: HistoryCause): void;
  /** Redis sent bytes of history. */
  historyBytesRead(bytes: number): void;
  epochStarted(channel: string): void;
  /** Redis does not let this node read or write what recovery needs. The channel continues without it. */
  recoveryRefused(channel: string, error: Error): void;
  /** Redis cannot do now what the channel needs; it is tried again. Called once for each attempt. */
  recoveryDelayed(channel: string, cause: string): void;
}

/** The most reads of history and starts of epochs that are under way at once on one node. */
const OPERATIONS_AT_ONCE = 16;

type Operation = 'epoch' | 'fill-in' | HistoryCause;

/** The cause of a delay for a page of history that is older than the position. */
const STALE = 'history shows less than the position';

/**
 * Carries out the actions that the sequences of the channels return: reads positions and history, and starts new epochs. It also
 * reads history for workers. Each channel has at most one operation under way. An operation that fails is tried again until the
 * channel is released.
 */
export class Recovery {
  readonly #store: ChannelStore;
  readonly #settings: RecoverySettings;
  readonly #events: RecoveryEvents;
  readonly #reject: (channel: HubChannel) => void;
  /** A reader for each link, because a shard that does not answer must not hold up the channels of the others. */
  readonly #positions = new Map<string | undefined, PositionReader<HubChannel>>();
  readonly #checks: IdleChannelChecks<HubChannel>;
  readonly #pages: HistoryPages;
  readonly #budget: HistoryBudget<HubChannel>;
  readonly #workerHistory: WorkerHistory;
  readonly #timer: NodeJS.Timeout;
  /** Channels that wait for one of the {@link OPERATIONS_AT_ONCE}. */
  readonly #waiting = new Set<HubChannel>();
  /** The operations under way. An operation missing from this map was superseded; its result must be ignored. */
  readonly #operations = new Map<HubChannel, symbol>();
  /** Channels whose operation failed. It is tried again at the next tick. */
  readonly #delayed = new Set<HubChannel>();
  /** Channels whose sequence has a suspicion. Each is checked once a tick, because publishers can cause any number of suspicions. */
  readonly #suspicious = new Set<HubChannel>();
  /** Whether both connections lead to one server. The answer is used until the next tick. */
  #agreement: Promise<boolean> | undefined;

  /**
   * @param guard decides whether reads for clients must wait for their budget.
   * @param reject releases a channel that cannot keep its promise, and refuses its workers.
   */
  constructor(
    store: ChannelStore,
    settings: RecoverySettings,
    events: RecoveryEvents,
    guard: LimitGuard,
    reject: (channel: HubChannel) => void,
  ) {
    this.#store = store;
    this.#settings = settings;
    this.#events = events;
    this.#reject = reject;
    this.#checks = new IdleChannelChecks(settings.idleCheckMs, performance.now());
    this.#budget = new HistoryBudget(settings.historyReadRate, guard, {
      onReady: (channel) => this.serve(channel),
      onLate: (channel) => channel.waiters.requests.fail(channel.sequence.epoch, 'unavailable'),
    });
    this.#pages = new HistoryPages(store, settings, (bytes) => {
      this.#events.historyBytesRead(bytes);
      this.#budget.charge(bytes);
    });
    this.#workerHistory = new WorkerHistory(this.#pages, this.#budget, settings.maxHistory);
    this.#timer = setInterval(() => this.#tick(), CHECK_INTERVAL_MS).unref();
  }

  /** Begins with a channel whose first subscription Redis has confirmed. */
  watch(channel: HubChannel): void {
    this.#checks.add(channel, performance.now());
    this.serve(channel);
  }

  /** Begins anew with a channel that is subscribed again. Its operation under way is superseded. */
  restart(channel: HubChannel): void {
    this.#operations.delete(channel);
    this.#delayed.delete(channel);
    this.serve(channel);
  }

  /** Carries out the action that a call of the channel's sequence returned. */
  follow(channel: HubChannel, action: SequenceAction): void {
    channel.action = action;
    if (action.kind === 'give-up') this.#reject(channel);
    else this.serve(channel);
  }

  /** Carries out the channel's latest action, and serves the workers that wait. Must be called whenever either may have changed. */
  serve(channel: HubChannel): void {
    if (!channel.isHeld) return;
    const { sequence, waiters } = channel;
    if (!needsOperation(channel.action)) channel.answerEndRequests();
    if (waiters.endRequests.isWaiting) channel.action = sequence.check();
    if (channel.action.kind === 'compare-soon') this.#suspicious.add(channel);
    if (channel.action.kind === 'read-position') this.#positionsOver(channel.link).request(channel);
    const operation = operationFor(channel);
    if (operation !== undefined) this.#operate(channel, operation);
  }

  /** Cancels the read of a channel's position, if it has not begun, because the channel's subscription is lost. */
  cancelPositionRead(channel: HubChannel): void {
    this.#forgetPosition(channel);
    this.#agreement = undefined;
  }

  /** Drops what belongs to a link that is gone. No channel may be on it any more. */
  dropLink(link: string): void {
    this.#positions.get(link)?.stop();
    this.#positions.delete(link);
  }

  /** Forgets a channel that the node releases. Results of its operation are ignored. */
  forget(channel: HubChannel): void {
    channel.isHeld = false;
    this.#forgetPosition(channel);
    this.#operations.delete(channel);
    this.#budget.forget(channel);
    for (const set of [this.#waiting, this.#delayed, this.#suspicious]) set.delete(channel);
  }

  /** Ends its timers. Results of what is under way are ignored. */
  stop(): void {
    clearInterval(this.#timer);
    for (const reader of this.#positions.values()) reader.stop();
    this.#budget.stop();
    this.#operations.clear();
    for (const set of [this.#waiting, this.#delayed, this.#suspicious]) set.clear();
  }

  #forgetPosition(channel: HubChannel): void {
    for (const reader of this.#positions.values()) reader.forget(channel);
  }

  #positionsOver(link: string | undefined): PositionReader<HubChannel> {
    const known = this.#positions.get(link);
    if (known !== undefined) return known;
    const reader = new PositionReader<HubChannel>(
      (channels) => this.#store.readPositions(channels),
      (error) => this.#store.faultOf(error) === 'lasting',
      {
        onSent(channel) {
          if (channel.sequence.beginPositionRead(Date.now()))
            channel.waiters.endRequests.markReading();
        },
        onPosition: (channel, position) => this.#takePosition(channel, position),
        onFailed: (channel, error) => this.#failPosition(channel, error),
      },
    );
    this.#positions.set(link, reader);
    return reader;
  }

  #tick(): void {
    this.#agreement = undefined;
    this.#failLate();
    const suspicious = takeAll(this.#suspicious);
    for (const channel of takeAll(this.#delayed)) this.serve(channel);
    for (const channel of suspicious) this.follow(channel, channel.sequence.compare());
    for (const channel of this.#checks.takeDue(performance.now())) {
      this.follow(channel, channel.sequence.check());
    }
  }

  /** Fails requests that have waited too long for their turn or for another attempt, as the budget does with those that wait for it. */
  #failLate(): void {
    const latest = performance.now() - LONGEST_WAIT_MS;
    for (const channels of [this.#waiting, this.#delayed]) {
      for (const { waiters, sequence } of channels) {
        const { requests } = waiters;
        if (requests.isEmpty || requests.askedAt > latest) continue;
        requests.fail(sequence.epoch, 'unavailable');
      }
    }
  }

  #operate(channel: HubChannel, operation: Operation): void {
    if (this.#operations.has(channel) || this.#delayed.has(channel)) return;
    if (this.#operations.size >= OPERATIONS_AT_ONCE) {
      this.#waiting.add(channel);
      return;
    }
    if (operation === 'resume' && !this.#budget.allows(channel, channel.waiters.requests.askedAt))
      return;
    const token = Symbol(channel.name);
    this.#operations.set(channel, token);
    const isCurrent = (): boolean => this.#operations.get(channel) === token;
    // A defect must not be caught: it ends the process, which reports it and starts anew.
    void this.#attempt(channel, operation, isCurrent).then(() => {
      if (isCurrent()) this.#operations.delete(channel);
      this.serve(channel);
      this.#serveWaiting();
    });
  }

  /** Serves channels until all operations are in use. One may need no operation any more, so none would end and serve the next channel. */
  #serveWaiting(): void {
    while (this.#operations.size < OPERATIONS_AT_ONCE) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      this.serve(next);
    }
  }

  async #attempt(
    channel: HubChannel,
    operation: Operation,
    isCurrent: () => boolean,
  ): Promise<void> {
    try {
      const isSafe = isForWorkers(operation) || (await this.#linksAgree());
      if (!isCurrent() || operationFor(channel) !== operation) return;
      if (isSafe) await this.#run(channel, operation, isCurrent);
      else this.#unavailable(channel, operation, 'the connections lead to different servers');
    } catch (error) {
      const fault = this.#store.faultOf(error);
      if (fault === undefined) throw error;
      if (!isCurrent()) return;
      if (fault === 'lasting') this.#refused(channel, operation, error as Error);
      else this.#unavailable(channel, operation, (error as Error).message);
    }
  }

  async #run(channel: HubChannel, operation: Operation, isCurrent: () => boolean): Promise<void> {
    const { sequence, name, action } = channel;
    const { maxHistory } = this.#settings;
    if (action.kind === 'start-epoch') {
      const isOurs = await this.#store.startEpoch(name, action.replaces);
      if (isOurs) this.#events.epochStarted(name);
      if (!isCurrent()) return;
      channel.action = sequence.locateNewEpoch();
      // The position will show the other epoch. If it does not, it is that of another server, so some time must pass.
      if (!isOurs) this.#delay(channel, 'there is another epoch already');
    } else if (action.kind === 'read-history') {
      this.#events.historyRead('repair');
      const page = await this.#pages.readForward(name, action.from, maxHistory);
      if (!isCurrent()) return;
      channel.action = sequence.applyHistory(page);
      const { action: next } = channel;
      if (next.kind === 'read-position' && next.isStale) this.#delay(channel, STALE);
    } else {
      this.#events.historyRead(operation === 'resume' ? 'resume' : 'repair');
      const answerWaiting =
        operation === 'resume'
          ? await this.#workerHistory.resume(channel)
          : await this.#workerHistory.fillIn(channel);
      if (isCurrent() && !answerWaiting()) this.#delay(channel, STALE);
    }
  }

  #linksAgree(): Promise<boolean> {
    this.#agreement ??= this.#store.linksAgree();
    return this.#agreement;
  }

  #takePosition(channel: HubChannel, position: Position | undefined): void {
    if (!channel.isHeld) return;
    const { sequence, waiters } = channel;
    const isAwaited = sequence.awaitsPosition;
    const action = sequence.applyPosition(position);
    if (isAwaited) waiters.endRequests.markAnswered();
    else waiters.endRequests.putBack();
    this.follow(channel, action);
  }

  /** If Redis refuses to tell the position, a channel that has told no offsets yet continues without them. */
  #failPosition(channel: HubChannel, error: Error): void {
    const fault = this.#store.faultOf(error);
    if (fault === undefined) throw error;
    if (!channel.isHeld) return;
    if (fault === 'passing') {
      channel.failEndRequests('unavailable');
      this.#delay(channel, error.message);
      return;
    }
    this.#events.recoveryRefused(channel.name, error);
    const action = channel.sequence.abandonPosition();
    // If the channel is released, its clients are told that, and keep their positions.
    if (action.kind !== 'give-up') channel.failEndRequests('not_available');
    this.follow(channel, action);
  }

  /** Tells workers at once that Redis is away or overloaded. An operation of the sequence is tried again instead. */
  #unavailable(channel: HubChannel, operation: Operation, cause: string): void {
    channel.waiters.failHistory(channel.sequence.epoch, 'unavailable');
    if (!isForWorkers(operation)) this.#delay(channel, cause);
  }

  #delay(channel: HubChannel, cause: string): void {
    this.#delayed.add(channel);
    this.#events.recoveryDelayed(channel.name, cause);
  }

  #refused(channel: HubChannel, operation: Operation, error: Error): void {
    this.#events.recoveryRefused(channel.name, error);
    if (operation === 'epoch') channel.action = channel.sequence.abandonNewEpoch();
    else channel.waiters.failHistory(channel.sequence.epoch, 'not_available');
    if (operation === 'repair') channel.action = channel.sequence.abandonHistory();
  }
}

/** The operation that a channel needs next: first for its sequence, then for workers that missed publications, then for clients that resume. */
function operationFor({ action, waiters }: HubChannel): Operation | undefined {
  const { requests, fillIns } = waiters;
  if (action.kind === 'start-epoch') return 'epoch';
  if (action.kind === 'read-history') return 'repair';
  if (!fillIns.isEmpty) return 'fill-in';
  return requests.isEmpty ? undefined : 'resume';
}

/** Whether the sequence waits for an operation, and so has not delivered all that the position showed. */
function needsOperation({ kind }: SequenceAction): boolean {
  return kind === 'start-epoch' || kind === 'read-history';
}

function isForWorkers(operation: Operation): boolean {
  return operation === 'fill-in' || operation === 'resume';
}

function takeAll<T>(set: Set<T>): T[] {
  const taken = [...set];
  set.clear();
  return taken;
}
