import type { ErrorCode, Position } from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';
import type { SequenceAction } from '../sequence/channel-sequence.ts';
import type { HistoryPage } from '../sequence/message.ts';
import type { HubChannel } from './channel.ts';
import { HistoryBudget, PATIENCE_MS } from './history-budget.ts';
import { HistoryPages, type ReplayBounds } from './history-pages.ts';
import type { HistoryRequests } from './history-requests.ts';
import { CHECK_INTERVAL_MS, TailChecks } from './idle-channel-checks.ts';
import { PositionReads, type ReadPositions } from './position-reader.ts';

/** How Redis fails to do something: for some time, or whenever it is asked. */
export type ArchiveFault = 'passing' | 'lasting';

/** As much of Redis as recovery needs. */
export interface Archive {
  /** Over the connection that carries the subscriptions. */
  readonly readPositions: ReadPositions;
  /**
   * One page of up to `limit` entries, from an offset on, to another one, both inclusive; over another connection, as
   * all that follows.
   */
  readHistory(channel: string, from: number, limit: number, to?: number): Promise<HistoryPage>;
  /**
   * Begins a new epoch if the present one is as expected (undefined: there is none). Resolves with
   * whether it did: if not, there was another one already.
   */
  startEpoch(channel: string, expected: string | undefined): Promise<boolean>;
  /** Whether both connections lead to the same server, as far as Redis tells. */
  linksAgree(): Promise<boolean>;
  /** What a rejection of any of these means; undefined when it is none of Redis' but a defect here. */
  faultOf(error: unknown): ArchiveFault | undefined;
}

export interface RecoverySettings extends ReplayBounds {
  /** Publications that one read of history brings at most; 0 for no reads. */
  readonly maxHistory: number;
  /** Bytes of history that Redis may send for clients that resume. */
  readonly historyReadRate: Rate;
  /** The longest time between two looks at a quiet channel's end, in ms; 0 for none. */
  readonly tailCheckMs: number;
}

/** Why history was read. */
export type HistoryCause = 'repair' | 'resume';

/** What recovery reports. */
export interface RecoveryEvents {
  historyRead(cause: HistoryCause): void;
  /** Redis sent so many bytes of history. */
  historyBytesRead(bytes: number): void;
  epochStarted(channel: string): void;
  /** Redis does not let this node read or write what recovery needs: the channel goes on without. */
  recoveryRefused(channel: string, error: Error): void;
  /** The channel waits for what Redis cannot do now; it is tried again. Once for each attempt. */
  recoveryDelayed(channel: string, cause: string): void;
}

/** Reads of history, and new epochs, that are under way at once on one node. */
const OPERATIONS_AT_ONCE = 16;

type Operation = 'epoch' | 'fill-in' | HistoryCause;

/** Why a page of history is of no use. */
const OLDER = 'history shows less than the position';

/**
 * Brings each channel's sequence what it needs from Redis: its position, what it missed, a new epoch. Each
 * channel has one such operation under way at a time; one that fails is tried again until the channel is
 * let go.
 */
export class Recovery {
  readonly #archive: Archive;
  readonly #settings: RecoverySettings;
  readonly #events: RecoveryEvents;
  readonly #giveUp: (channel: HubChannel) => void;
  readonly #positions: PositionReads<HubChannel>;
  readonly #checks: TailChecks<HubChannel>;
  readonly #pages: HistoryPages;
  readonly #budget: HistoryBudget<HubChannel>;
  readonly #timer: NodeJS.Timeout;
  /** Channels that wait for their turn to read or write. */
  readonly #waiting = new Set<HubChannel>();
  /** What is under way. An operation that is not in here any more has lost its meaning. */
  readonly #operations = new Map<HubChannel, symbol>();
  /** Channels whose operation failed; they try again at the next tick. */
  readonly #delayed = new Set<HubChannel>();
  /** Channels with a suspicion: one of each is looked into a tick, since anyone can forge them. */
  readonly #suspicious = new Set<HubChannel>();
  /** The look at both connections' servers that counts until the next tick. */
  #agreement: Promise<boolean> | undefined;

  /**
   * @param guard asked whether clients must wait for the budget of what is read for them.
   * @param giveUp is told of a channel whose promise cannot be kept any longer.
   */
  constructor(
    archive: Archive,
    settings: RecoverySettings,
    events: RecoveryEvents,
    guard: LimitGuard,
    giveUp: (channel: HubChannel) => void,
  ) {
    this.#archive = archive;
    this.#settings = settings;
    this.#events = events;
    this.#giveUp = giveUp;
    this.#positions = new PositionReads(
      (channels) => archive.readPositions(channels),
      (error) => archive.faultOf(error) === 'lasting',
      {
        asked(channel) {
          if (channel.sequence.positionAsked(Date.now())) channel.endRequests.asked();
        },
        answered: (channel, position) => this.#positionRead(channel, position),
        unanswered: (channel, error) => this.#positionUnread(channel, error),
      },
    );
    this.#checks = new TailChecks(settings.tailCheckMs, performance.now());
    this.#budget = new HistoryBudget(settings.historyReadRate, guard, {
      ready: (channel) => this.serve(channel),
      late: (channel) => channel.requests.fail(channel.sequence.epoch, 'unavailable'),
    });
    this.#pages = new HistoryPages(archive, settings, (bytes) => {
      this.#events.historyBytesRead(bytes);
      this.#budget.charge(bytes);
    });
    this.#timer = setInterval(() => this.#tick(), CHECK_INTERVAL_MS).unref();
  }

  /** Begins to look after a channel that Redis has confirmed for the first time. */
  begin(channel: HubChannel): void {
    this.#checks.add(channel, performance.now());
    this.serve(channel);
  }

  /** The channel is subscribed again: what was under way for it has lost its meaning. */
  restart(channel: HubChannel): void {
    this.#operations.delete(channel);
    this.#delayed.delete(channel);
    this.serve(channel);
  }

  /** Does what the channel's sequence returned. */
  follow(channel: HubChannel, action: SequenceAction): void {
    channel.action = action;
    if (action.kind === 'give-up') this.#giveUp(channel);
    else this.serve(channel);
  }

  /** Does what the channel's sequence returned last, and answers who waits. To be called whenever somebody may wait. */
  serve(channel: HubChannel): void {
    if (!channel.isHeld) return;
    const { sequence, endRequests } = channel;
    if (!needsOperation(channel.action)) channel.answerEndRequests();
    if (endRequests.isWaiting) channel.action = sequence.check();
    if (channel.action.kind === 'compare-soon') this.#suspicious.add(channel);
    if (channel.action.kind === 'read-position') this.#positions.ask(channel);
    const operation = operationFor(channel);
    if (operation !== undefined) this.#operate(channel, operation);
  }

  /** The link to Redis is lost: questions that were not put yet are forgotten. */
  linkLost(): void {
    this.#positions.clear();
    this.#agreement = undefined;
  }

  /** The channel is let go. */
  forget(channel: HubChannel): void {
    channel.isHeld = false;
    this.#positions.forget(channel);
    this.#operations.delete(channel);
    this.#budget.forget(channel);
    for (const set of [this.#waiting, this.#delayed, this.#suspicious]) set.delete(channel);
  }

  /** Ends its timers; what is under way comes to nothing. */
  stop(): void {
    clearInterval(this.#timer);
    this.#positions.stop();
    this.#budget.stop();
    this.#operations.clear();
    for (const set of [this.#waiting, this.#delayed, this.#suspicious]) set.clear();
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

  /** What waits for its turn, or to be tried again, is answered in time like what waits for the budget. */
  #failLate(): void {
    const latest = performance.now() - PATIENCE_MS;
    for (const channels of [this.#waiting, this.#delayed]) {
      for (const { requests, sequence } of channels) {
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
    if (operation === 'resume' && !this.#budget.allows(channel, channel.requests.askedAt)) return;
    const token = Symbol(channel.name);
    this.#operations.set(channel, token);
    const isCurrent = (): boolean => this.#operations.get(channel) === token;
    // A defect is not caught: it ends the process, which tells of it and begins anew.
    void this.#attempt(channel, operation, isCurrent).then(() => {
      if (isCurrent()) this.#operations.delete(channel);
      this.serve(channel);
      this.#serveWaiting();
    });
  }

  /** One that has waited may need nothing any more, and then has no operation that would end. */
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
      const fault = this.#archive.faultOf(error);
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
      const isOurs = await this.#archive.startEpoch(name, action.replaces);
      if (isOurs) this.#events.epochStarted(name);
      if (!isCurrent()) return;
      channel.action = sequence.epochStarted();
      // The position shows the other one; if it does not, it is of another server, and soon will be.
      if (!isOurs) this.#delay(channel, 'there is another epoch already');
    } else if (action.kind === 'read-history') {
      this.#events.historyRead('repair');
      const page = await this.#pages.forward(name, action.from, maxHistory);
      if (!isCurrent()) return;
      channel.action = sequence.historyRead(page);
      const { action: next } = channel;
      if (next.kind === 'read-position' && next.isStale) this.#delay(channel, OLDER);
    } else {
      const isOfUse =
        operation === 'resume' ? await this.#resume(channel) : await this.#fillIn(channel);
      if (isCurrent() && !isOfUse()) this.#delay(channel, OLDER);
    }
  }

  /**
   * Reads what workers missed of the channel, from its beginning on; for the rest they ask again. The result is to be
   * called while it counts: it answers them, and returns false if what was read is older than what was known.
   */
  async #fillIn(channel: HubChannel): Promise<() => boolean> {
    this.#events.historyRead('repair');
    const { fillIns } = channel;
    const { from, until } = fillIns;
    // One more before it: what is missing behind that was not trimmed with what is older, but is a gap.
    const first = Math.max(1, from - 1);
    const page = await this.#pages.forward(channel.name, first, this.#settings.maxHistory + 1);
    const { position, publications, isWhole } = page;
    const end = position?.offset ?? 0;
    const last = isWhole === true ? end : (publications.at(-1)?.offset ?? 0);
    return () => answer(channel, fillIns, { from, until, page, end, last });
  }

  /** The same for workers whose clients resume: the latest first, as much as may be replayed. */
  async #resume(channel: HubChannel): Promise<() => boolean> {
    this.#events.historyRead('resume');
    const { requests, sequence } = channel;
    const { from, until } = requests;
    const present = sequence.position;
    if (present === undefined) return () => answer(channel, requests, NOTHING_READ);
    const expected = this.#budget.begin();
    let bytes = 0;
    try {
      const page = await this.#pages.back(channel.name, from, present);
      ({ bytes } = page);
      const end = page.isWhole === false ? 0 : present.offset;
      return () => answer(channel, requests, { from, until, page, end, last: end });
    } finally {
      this.#budget.end(expected, bytes);
    }
  }

  #linksAgree(): Promise<boolean> {
    this.#agreement ??= this.#archive.linksAgree();
    return this.#agreement;
  }

  #positionRead(channel: HubChannel, position: Position | undefined): void {
    if (!channel.isHeld) return;
    const { sequence, endRequests } = channel;
    const isAwaited = sequence.awaitsPosition;
    const action = sequence.positionRead(position);
    if (isAwaited) endRequests.answered();
    else endRequests.unanswered();
    this.follow(channel, action);
  }

  /** A channel whose position may not be read can be had without offsets, by those who were told of none. */
  #positionUnread(channel: HubChannel, error: Error): void {
    const fault = this.#archive.faultOf(error);
    if (fault === undefined) throw error;
    if (!channel.isHeld) return;
    if (fault === 'passing') {
      channel.failEndRequests('unavailable');
      this.#delay(channel, error.message);
      return;
    }
    this.#events.recoveryRefused(channel.name, error);
    channel.failEndRequests('not_available');
    this.follow(channel, channel.sequence.positionRefused());
  }

  /** Redis is away, or has too much to do: sequences wait, clients are told. */
  #unavailable(channel: HubChannel, operation: Operation, cause: string): void {
    failRequests(channel, 'unavailable');
    if (!isForWorkers(operation)) this.#delay(channel, cause);
  }

  #delay(channel: HubChannel, cause: string): void {
    this.#delayed.add(channel);
    this.#events.recoveryDelayed(channel.name, cause);
  }

  #refused(channel: HubChannel, operation: Operation, error: Error): void {
    this.#events.recoveryRefused(channel.name, error);
    if (operation === 'epoch') channel.action = channel.sequence.epochRefused();
    else failRequests(channel, 'not_available');
    if (operation === 'repair') channel.action = channel.sequence.historyUnavailable();
  }
}

/** What the sequence needs comes before what workers missed, and that before what clients have asked for. */
function operationFor({ action, requests, fillIns }: HubChannel): Operation | undefined {
  if (action.kind === 'start-epoch') return 'epoch';
  if (action.kind === 'read-history') return 'repair';
  if (!fillIns.isEmpty) return 'fill-in';
  return requests.isEmpty ? undefined : 'resume';
}

/** Whether the sequence waits for an {@link Operation}, so that it has not delivered all that Redis told of. */
function needsOperation({ kind }: SequenceAction): boolean {
  return kind === 'start-epoch' || kind === 'read-history';
}

function isForWorkers(operation: Operation): boolean {
  return operation === 'fill-in' || operation === 'resume';
}

function failRequests({ requests, fillIns, sequence }: HubChannel, code: ErrorCode): void {
  for (const each of [fillIns, requests]) each.fail(sequence.epoch, code);
}

/** A read for those who wait for a channel's history. */
interface PastRead {
  /** The first offset that is wanted. */
  readonly from: number;
  /** Up to where the channel had come before. */
  readonly until: number;
  readonly page: HistoryPage & { readonly tooLongBefore?: number | undefined };
  /** How far the channel had come; 0 if what was read is of no use. */
  readonly end: number;
  /** The last offset that the page speaks of. */
  readonly last: number;
}

const NOTHING_READ: PastRead = {
  ...{ from: 0, until: 0, end: 0, last: 0 },
  page: { position: undefined, publications: [] },
};

/** Answers who waits for history. Returns false if it is older than what the channel had come to before. */
function answer(channel: HubChannel, requests: HistoryRequests, read: PastRead): boolean {
  const { from, until, page, end, last } = read;
  const { position, tooLongBefore } = page;
  const present = channel.sequence.position;
  if (present === undefined) {
    requests.fail('', 'unavailable');
    return true;
  }
  const past = channel.pastOf(page, tooLongBefore ?? from, last);
  requests.answer({ from, epoch: position?.epoch, end, past, tooLongBefore }, present);
  return position?.epoch !== present.epoch || end >= until;
}

function takeAll<T>(set: Set<T>): T[] {
  const taken = [...set];
  set.clear();
  return taken;
}
