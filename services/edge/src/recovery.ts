import type { Position } from '@tradewind/protocol';
import type { HistoryPage } from './channel-sequence.ts';
import type { HubChannel } from './hub-channel.ts';
import { PositionReads, type ReadPositions } from './position-reads.ts';
import { CHECK_INTERVAL_MS, TailChecks } from './tail-checks.ts';

/** As much of Redis as recovery needs. */
export interface Archive {
  /** Over the connection that carries the subscriptions. */
  readonly readPositions: ReadPositions;
  /** One page, from an offset on, inclusive. */
  readHistory(channel: string, from: number, limit: number): Promise<HistoryPage>;
  /** Begins a new epoch if the present one is as expected (undefined: there is none). */
  startEpoch(channel: string, expected: string | undefined): Promise<Position>;
  /** Whether an error says that this node has no right to what it asked for. */
  isForbidden(error: unknown): boolean;
}

export interface RecoverySettings {
  /** Publications that one read of history brings at most; 0 for no reads. */
  readonly maxHistory: number;
  /** The longest time between two looks at a quiet channel's end, in ms; 0 for none. */
  readonly tailCheckMs: number;
}

/** Why history was read. */
export type HistoryCause = 'repair' | 'resume';

/** What recovery reports. */
export interface RecoveryEvents {
  historyRead(cause: HistoryCause): void;
  epochStarted(channel: string): void;
  /** Redis does not let this node read or write what recovery needs. */
  recoveryRefused(channel: string, error: Error): void;
}

/** Reads of history, and new epochs, that are under way at once on one node. */
const OPERATIONS_AT_ONCE = 16;

/**
 * Brings each channel's sequence what it needs from Redis: its position, what it missed, a new epoch. Each
 * channel has one such operation under way at a time; one that fails is tried again until the channel is
 * let go.
 */
export class Recovery {
  readonly #archive: Archive;
  readonly #settings: RecoverySettings;
  readonly #events: RecoveryEvents;
  readonly #positions: PositionReads<HubChannel>;
  readonly #checks: TailChecks<HubChannel>;
  readonly #timer: NodeJS.Timeout;
  /** Channels that wait for their turn to read or write. */
  readonly #waiting = new Set<HubChannel>();
  /** What is under way. An operation that is not in here any more has lost its meaning. */
  readonly #operations = new Map<HubChannel, symbol>();
  /** Channels whose operation failed; they try again at the next check. */
  readonly #failed = new Set<HubChannel>();

  constructor(archive: Archive, settings: RecoverySettings, events: RecoveryEvents) {
    this.#archive = archive;
    this.#settings = settings;
    this.#events = events;
    this.#positions = new PositionReads(
      (channels) => archive.readPositions(channels),
      (error) => archive.isForbidden(error),
      {
        asked(channel) {
          channel.sequence.askedPosition();
          channel.endRequests.asked();
        },
        answered: (channel, position) => this.#positionRead(channel, position),
        unanswered: (channel, error) => this.#positionUnread(channel, error),
      },
    );
    this.#checks = new TailChecks(settings.tailCheckMs, performance.now());
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
    this.#failed.delete(channel);
    this.serve(channel);
  }

  /** Sees to what the channel needs. To be called whenever that may have changed. */
  serve(channel: HubChannel): void {
    if (!channel.isHeld) return;
    const { need } = channel.sequence;
    if (need === 'nothing' || need === 'position') channel.answerEndRequests();
    if (need === 'position') this.#positions.ask(channel);
    else if (this.#isToOperate(channel)) this.#operate(channel);
  }

  /** The link to Redis is lost: questions that were not put yet are forgotten. */
  linkLost(): void {
    this.#positions.clear();
  }

  /** The channel is let go. */
  forget(channel: HubChannel): void {
    channel.isHeld = false;
    this.#positions.forget(channel);
    this.#operations.delete(channel);
    this.#waiting.delete(channel);
    this.#failed.delete(channel);
  }

  /** Ends its timers; what is under way comes to nothing. */
  stop(): void {
    clearInterval(this.#timer);
    this.#positions.stop();
    this.#operations.clear();
    this.#waiting.clear();
    this.#failed.clear();
  }

  #tick(): void {
    const failed = [...this.#failed];
    this.#failed.clear();
    for (const channel of failed) this.serve(channel);
    for (const channel of this.#checks.takeDue(performance.now())) {
      channel.sequence.check();
      this.serve(channel);
    }
  }

  #isToOperate(channel: HubChannel): boolean {
    const { need } = channel.sequence;
    return need === 'history' || need === 'epoch' || !channel.requests.isEmpty;
  }

  #operate(channel: HubChannel): void {
    if (this.#operations.has(channel) || this.#failed.has(channel)) return;
    if (this.#operations.size >= OPERATIONS_AT_ONCE) {
      this.#waiting.add(channel);
      return;
    }
    const operation = Symbol(channel.name);
    this.#operations.set(channel, operation);
    const isCurrent = (): boolean => this.#operations.get(channel) === operation;
    this.#run(channel, isCurrent)
      .catch((error: Error) => {
        if (!isCurrent()) return;
        if (this.#archive.isForbidden(error)) this.#forbidden(channel, error);
        else this.#unavailable(channel);
      })
      .finally(() => {
        if (isCurrent()) this.#operations.delete(channel);
        this.serve(channel);
        this.#serveNext();
      });
  }

  #serveNext(): void {
    const [next] = this.#waiting;
    if (next === undefined || this.#operations.size >= OPERATIONS_AT_ONCE) return;
    this.#waiting.delete(next);
    this.serve(next);
  }

  /** What the sequence needs comes before what clients have asked for. */
  async #run(channel: HubChannel, isCurrent: () => boolean): Promise<void> {
    const { sequence, name, requests } = channel;
    const { maxHistory } = this.#settings;
    if (sequence.need === 'epoch') {
      const { epoch } = sequence;
      const position = await this.#archive.startEpoch(name, sequence.lostEpoch);
      if (!isCurrent()) return;
      // The two links lead to different servers. One of them is wrong, and will be found out.
      if (position.epoch === epoch) this.#failed.add(channel);
      else this.#events.epochStarted(name);
      sequence.epochStarted(position);
    } else if (sequence.need === 'history') {
      this.#events.historyRead('repair');
      const page = await this.#archive.readHistory(name, sequence.historyFrom, maxHistory);
      if (isCurrent()) sequence.historyRead(page);
    } else {
      this.#events.historyRead('resume');
      const from = requests.from;
      const page = await this.#archive.readHistory(name, from, maxHistory);
      if (!isCurrent()) return;
      const present = sequence.position;
      if (present === undefined) {
        requests.fail('', 'unavailable');
        return;
      }
      const publications = channel.publicationsOf(page);
      requests.answer(from, { position: page.position, publications }, present);
    }
  }

  #positionRead(channel: HubChannel, position: Position | undefined): void {
    if (!channel.isHeld) return;
    channel.sequence.positionRead(position, Date.now());
    channel.endRequests.answered();
    this.serve(channel);
  }

  /** Where positions may not be read, a channel can be had without offsets. */
  #positionUnread(channel: HubChannel, error: Error): void {
    if (!channel.isHeld) return;
    if (this.#archive.isForbidden(error)) {
      this.#events.recoveryRefused(channel.name, error);
      if (channel.state === 'positioning') {
        this.#positionRead(channel, undefined);
        return;
      }
    }
    channel.endRequests.answered();
    channel.answerEndRequests('unavailable');
    this.#failed.add(channel);
  }

  /** Redis is away, or has too much to do: sequences wait, clients are told. */
  #unavailable(channel: HubChannel): void {
    this.#failed.add(channel);
    channel.requests.fail(channel.sequence.position?.epoch ?? '', 'unavailable');
  }

  #forbidden(channel: HubChannel, error: Error): void {
    this.#events.recoveryRefused(channel.name, error);
    channel.requests.fail(channel.sequence.position?.epoch ?? '', 'not_available');
    if (channel.sequence.need === 'history') channel.sequence.historyUnavailable();
    else if (channel.sequence.need === 'epoch') channel.sequence.epochRefused();
  }
}
