/** One SUBSCRIBE or UNSUBSCRIBE to send. The answer is matched to it by the object's identity. */
export interface SubscriptionCommand {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly channels: readonly string[];
}

export interface SubscriptionTableOptions {
  /** The most channels in one command, at least 1. */
  readonly batchChannels: number;
  /** The most commands in flight, at least 1. */
  readonly commandsInFlight: number;
  /** The first wait before a refused channel is tried again, in ms; each later wait is twice as long. */
  readonly refusedRetryMinMs: number;
  /** The longest such wait, in ms. */
  readonly refusedRetryMaxMs: number;
  /** Returns a number from 0 to 1, by which retries are spread over the upper half of their wait. */
  readonly random: () => number;
}

/**
 * What the owner must do with a message. `confirm`: report the channel as subscribed, then ask again; see
 * {@link SubscriptionTable.receive}.
 */
export type MessageVerdict = 'deliver' | 'confirm' | 'drop';

interface Row {
  wanted: boolean;
  /** Whether `subscribed` was reported to the owner for this want on this link. */
  reported: boolean;
  /** The state in Redis for this link, by its answers so far. */
  actual: 'absent' | 'subscribing' | 'present' | 'unsubscribing';
  /** Consecutive refusals. A channel that was refused is sent alone, so that it spoils no batch. */
  refusals: number;
}

/**
 * Reconciles the channels that are wanted with those that Redis has confirmed on the present link. It is pure bookkeeping:
 * it sends nothing, has no clock, and is correct for any order of calls.
 *
 * A channel has at most one command in flight, so its answers and messages keep the order of the connection. A new link
 * starts with no subscription; answers of an earlier link are ignored.
 */
export class SubscriptionTable {
  readonly #options: SubscriptionTableOptions;
  readonly #rows = new Map<string, Row>();
  readonly #inFlight = new Set<SubscriptionCommand>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  readonly #toReport = new Set<string>();
  /** Parts of refused batches. A name may be outdated; it is checked when it is taken. */
  readonly #halves: (readonly string[])[] = [];
  /** Channels that were refused and may be tried again now. */
  readonly #toRetry = new Set<string>();
  /** Refused channels → the time before which they must not be tried again, in ms. */
  readonly #waiting = new Map<string, number>();
  /** Channels that were wanted when the link came up and have been neither confirmed nor refused since. */
  readonly #restoring = new Set<string>();
  #up = false;
  #restoredTaken = false;
  #held = 0;

  constructor(options: SubscriptionTableOptions) {
    this.#options = options;
  }

  /** Wanted channels, plus those still to be unsubscribed. */
  get size(): number {
    return this.#rows.size;
  }

  /** Channels that Redis holds for this link, by its answers so far. */
  get held(): number {
    return this.#held;
  }

  /** Marks a channel as wanted. Each want is confirmed, also that of a channel that is still subscribed. */
  want(channel: string): void {
    const row = this.#rows.get(channel);
    if (row?.wanted) return;
    const wanted: Row = row ?? { wanted: true, reported: false, actual: 'absent', refusals: 0 };
    wanted.wanted = true;
    this.#rows.set(channel, wanted);
    this.#plan(channel, wanted);
  }

  /** Marks a channel as no longer wanted. Its messages are dropped from now on. */
  unwant(channel: string): void {
    const row = this.#rows.get(channel);
    if (!row?.wanted) return;
    row.wanted = false;
    row.reported = false;
    this.#restoring.delete(channel);
    this.#plan(channel, row);
  }

  /** A new link is up. Every wanted channel must be subscribed on it. */
  linkUp(): void {
    this.linkDown();
    this.#up = true;
    this.#restoredTaken = false;
    for (const [channel, row] of this.#rows) {
      if (row.refusals > 0) {
        this.#toRetry.add(channel);
      } else {
        this.#toSubscribe.add(channel);
        this.#restoring.add(channel);
      }
    }
  }

  /** The link is lost, and every subscription and unanswered command with it. */
  linkDown(): void {
    this.#up = false;
    this.#held = 0;
    this.#inFlight.clear();
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    this.#toReport.clear();
    this.#halves.length = 0;
    this.#toRetry.clear();
    this.#waiting.clear();
    this.#restoring.clear();
    for (const [channel, row] of this.#rows) {
      row.actual = 'absent';
      row.reported = false;
      if (!row.wanted) this.#rows.delete(channel);
    }
  }

  /** Returns the next command to send and counts it as in flight; undefined if none may be sent. */
  nextCommand(): SubscriptionCommand | undefined {
    if (!this.#up || this.#inFlight.size >= this.#options.commandsInFlight) return undefined;
    const subscribing = this.#takeSubscribable();
    if (subscribing.length > 0) return this.#issue('subscribe', subscribing);
    const unsubscribing = take(this.#toUnsubscribe, this.#options.batchChannels);
    if (unsubscribing.length > 0) return this.#issue('unsubscribe', unsubscribing);
    return undefined;
  }

  /** Whether the answer to `command` still counts: the command is of this link and unanswered. */
  awaits(command: SubscriptionCommand): boolean {
    return this.#inFlight.has(command);
  }

  /** Redis executed `command` for all of its channels. */
  accepted(command: SubscriptionCommand): void {
    if (!this.#inFlight.delete(command)) return;
    this.#held += command.kind === 'subscribe' ? command.channels.length : -command.channels.length;
    for (const [channel, row] of this.#rowsOf(command)) {
      row.actual = command.kind === 'subscribe' ? 'present' : 'absent';
      row.refusals = 0;
      this.#plan(channel, row);
    }
  }

  /**
   * Redis refused `command` as a whole. A refused batch is halved until the channel at fault stands alone. Returns that
   * channel if it is found and still wanted.
   *
   * @param now ms of a monotonic clock.
   */
  refused(command: SubscriptionCommand, now: number): string | undefined {
    if (!this.#inFlight.delete(command)) return undefined;
    if (command.kind === 'unsubscribe') {
      for (const [channel, row] of this.#rowsOf(command)) {
        row.actual = 'present';
        this.#plan(channel, row);
        if (this.#toUnsubscribe.delete(channel))
          this.#waiting.set(channel, now + this.#options.refusedRetryMaxMs);
      }
      return undefined;
    }
    for (const [channel, row] of this.#rowsOf(command)) {
      row.actual = 'absent';
      row.reported = false;
      if (!row.wanted) this.#forget(channel);
    }
    const { channels } = command;
    if (channels.length > 1) {
      const middle = Math.ceil(channels.length / 2);
      this.#halves.push(channels.slice(0, middle), channels.slice(middle));
      return undefined;
    }
    return this.#postpone(channels[0] ?? '', now);
  }

  /**
   * Redis ended subscriptions by itself. Returns those channels that are still wanted here; the owner must let go of them or
   * want them again.
   *
   * @param held what Redis holds for this link. A channel with a command in flight is not compared.
   */
  takeEnded(held: ReadonlySet<string>): string[] {
    const ended: string[] = [];
    for (const [channel, row] of this.#rows) {
      if (row.actual !== 'present' || held.has(channel)) continue;
      this.#held -= 1;
      row.actual = 'absent';
      row.reported = false;
      this.#toReport.delete(channel);
      this.#toUnsubscribe.delete(channel);
      if (row.wanted) ended.push(channel);
      else this.#forget(channel);
    }
    return ended;
  }

  /** Lets refused channels whose wait is over be tried again. @param now ms of a monotonic clock. */
  retryDue(now: number): void {
    for (const [channel, notBefore] of this.#waiting) {
      if (notBefore > now) continue;
      this.#waiting.delete(channel);
      const row = this.#rows.get(channel);
      if (row?.actual === 'present') this.#toUnsubscribe.add(channel);
      else this.#toRetry.add(channel);
    }
  }

  /** Returns the channels that the owner must report as subscribed. They count as reported from here on. */
  takeConfirmed(): string[] {
    const channels = take(this.#toReport, this.#toReport.size);
    for (const channel of channels) this.#markReported(channel);
    return channels;
  }

  /** Returns true once a link, when every channel that was wanted as it came up is confirmed or refused. */
  takeRestored(): boolean {
    if (!this.#up || this.#restoredTaken || this.#restoring.size > 0) return false;
    this.#restoredTaken = true;
    return true;
  }

  /**
   * Returns what to do with a message on `channel`. A message that follows the ack of a SUBSCRIBE in the same chunk is
   * delivered a microtask before the ack reaches its sender. The message proves the subscription as well: on `confirm` the
   * channel counts as reported from here on.
   */
  receive(channel: string): MessageVerdict {
    const row = this.#rows.get(channel);
    if (!row?.wanted || (row.actual !== 'present' && row.actual !== 'subscribing')) return 'drop';
    if (row.reported) return 'deliver';
    this.#toReport.delete(channel);
    this.#markReported(channel);
    return 'confirm';
  }

  #plan(channel: string, row: Row): void {
    if (!this.#up || row.actual === 'absent') {
      if (!row.wanted) this.#forget(channel);
      else if (this.#up) this.#toSubscribe.add(channel);
    } else if (row.actual === 'present') {
      this.#waiting.delete(channel);
      this.#toReport.delete(channel);
      this.#toUnsubscribe.delete(channel);
      if (!row.wanted) this.#toUnsubscribe.add(channel);
      else if (!row.reported) this.#toReport.add(channel);
    }
  }

  #takeSubscribable(): string[] {
    for (let half = this.#halves.pop(); half !== undefined; half = this.#halves.pop()) {
      const channels = half.filter((channel) => this.#isSubscribable(channel));
      for (const channel of channels) this.#toSubscribe.delete(channel);
      if (channels.length > 0) return channels;
    }
    const fresh = take(this.#toSubscribe, this.#options.batchChannels);
    return fresh.length > 0 ? fresh : take(this.#toRetry, 1);
  }

  #isSubscribable(channel: string): boolean {
    const row = this.#rows.get(channel);
    return row?.wanted === true && row.actual === 'absent' && row.refusals === 0;
  }

  #issue(kind: SubscriptionCommand['kind'], channels: readonly string[]): SubscriptionCommand {
    const command: SubscriptionCommand = { kind, channels };
    this.#inFlight.add(command);
    for (const [, row] of this.#rowsOf(command))
      row.actual = kind === 'subscribe' ? 'subscribing' : 'unsubscribing';
    return command;
  }

  *#rowsOf(command: SubscriptionCommand): Generator<[string, Row]> {
    for (const channel of command.channels) {
      const row = this.#rows.get(channel);
      if (row !== undefined) yield [channel, row];
    }
  }

  #postpone(channel: string, now: number): string | undefined {
    const row = this.#rows.get(channel);
    if (row === undefined) return undefined;
    const { refusedRetryMinMs, refusedRetryMaxMs, random } = this.#options;
    const ceiling = Math.min(refusedRetryMinMs * 2 ** row.refusals, refusedRetryMaxMs);
    row.refusals += 1;
    this.#waiting.set(channel, now + ceiling * (0.5 + random() / 2));
    this.#restoring.delete(channel);
    return channel;
  }

  #markReported(channel: string): void {
    const row = this.#rows.get(channel);
    if (row !== undefined) row.reported = true;
    this.#restoring.delete(channel);
  }

  #forget(channel: string): void {
    this.#rows.delete(channel);
    this.#toSubscribe.delete(channel);
    this.#toRetry.delete(channel);
    this.#waiting.delete(channel);
  }
}

function take(channels: Set<string>, count: number): string[] {
  const taken: string[] = [];
  for (const channel of channels) {
    if (taken.length === count) break;
    channels.delete(channel);
    taken.push(channel);
  }
  return taken;
}
