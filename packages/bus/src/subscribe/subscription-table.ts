/** One SUBSCRIBE or UNSUBSCRIBE to send. Its identity stands for it when the answer comes. */
export interface SubscriptionCommand {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly channels: readonly string[];
}

export interface SubscriptionTableOptions {
  /** Channels in one command, at least 1. */
  readonly batchChannels: number;
  /** Commands without an answer at the same time, at least 1. */
  readonly commandsInFlight: number;
  /** The first wait before a refused channel is asked for again, in ms; then doubled. */
  readonly refusedRetryMinMs: number;
  /** The longest such wait, in ms. */
  readonly refusedRetryMaxMs: number;
  /** From 0 to 1: spreads retries over the upper half of their wait. */
  readonly random: () => number;
}

/**
 * `deliver` a message; `confirm` its channel to the owner first (see {@link
 * SubscriptionTable.receive}); or `drop` it.
 */
export type MessageVerdict = 'deliver' | 'confirm' | 'drop';

interface Row {
  wanted: boolean;
  /** Whether the owner was told, for this want and on this link, that the channel is subscribed. */
  told: boolean;
  /** What Redis has done for this link, as far as its answers tell. */
  actual: 'absent' | 'subscribing' | 'present' | 'unsubscribing';
  /** Refusals in a row. A channel with any travels alone, so that it spoils no batch. */
  refusals: number;
}

/**
 * Which channels are wanted, which of them Redis has confirmed on the present link, and which command
 * brings the second closer to the first. Pure bookkeeping: it sends nothing, has no clock, and is
 * right for any order of calls.
 *
 * A channel has at most one command in flight, so its answers and messages are in the order of the
 * connection. A new link begins with nothing subscribed; answers of an earlier one are ignored.
 */
export class SubscriptionTable {
  readonly #options: SubscriptionTableOptions;
  readonly #rows = new Map<string, Row>();
  readonly #inFlight = new Set<SubscriptionCommand>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  readonly #toTell = new Set<string>();
  /** Parts of refused batches. A name in here may be outdated: it is checked when it is taken. */
  readonly #halves: (readonly string[])[] = [];
  /** Channels that were refused alone and may be asked for again. */
  readonly #toRetry = new Set<string>();
  /** Refused channels, each with the time before which it is left alone. */
  readonly #waiting = new Map<string, number>();
  /** What was wanted when the link came up and has neither been confirmed nor refused since. */
  readonly #restoring = new Set<string>();
  #up = false;
  #restoredTaken = false;
  #held = 0;

  constructor(options: SubscriptionTableOptions) {
    this.#options = options;
  }

  /** Channels that are wanted or still have to be taken leave of. */
  get size(): number {
    return this.#rows.size;
  }

  /** Channels that Redis holds for this link, by all that it has answered so far. */
  get held(): number {
    return this.#held;
  }

  /** Declares a channel wanted. Each want, also of a channel that is still subscribed, is confirmed. */
  want(channel: string): void {
    const row = this.#rows.get(channel);
    if (row?.wanted) return;
    const wanted: Row = row ?? { wanted: true, told: false, actual: 'absent', refusals: 0 };
    wanted.wanted = true;
    this.#rows.set(channel, wanted);
    this.#plan(channel, wanted);
  }

  /** Declares a channel no longer wanted. From now on its messages are dropped. */
  unwant(channel: string): void {
    const row = this.#rows.get(channel);
    if (!row?.wanted) return;
    row.wanted = false;
    row.told = false;
    this.#restoring.delete(channel);
    this.#plan(channel, row);
  }

  /** A new link is up: everything that is wanted has to be subscribed on it. */
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
    this.#toTell.clear();
    this.#halves.length = 0;
    this.#toRetry.clear();
    this.#waiting.clear();
    this.#restoring.clear();
    for (const [channel, row] of this.#rows) {
      row.actual = 'absent';
      row.told = false;
      if (!row.wanted) this.#rows.delete(channel);
    }
  }

  /** The next command to send, which is in flight from here on, or undefined when none may be sent. */
  nextCommand(): SubscriptionCommand | undefined {
    if (!this.#up || this.#inFlight.size >= this.#options.commandsInFlight) return undefined;
    const joining = this.#takeJoining();
    if (joining.length > 0) return this.#issue('subscribe', joining);
    const leaving = take(this.#toUnsubscribe, this.#options.batchChannels);
    if (leaving.length > 0) return this.#issue('unsubscribe', leaving);
    return undefined;
  }

  /** Whether the answer to `command` still counts: it is of this link and was not given yet. */
  awaits(command: SubscriptionCommand): boolean {
    return this.#inFlight.has(command);
  }

  /** Redis has done all of `command`. */
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
   * Redis has done nothing of `command`, and says so. A refused batch is halved until the channel at
   * fault stands alone. Returns that channel, if it is found and still wanted.
   *
   * @param now in ms, of any clock that does not jump.
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
      row.told = false;
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

  /** Lets the refused channels whose time has come be asked for again. */
  retryDue(now: number): void {
    for (const [channel, notBefore] of this.#waiting) {
      if (notBefore > now) continue;
      this.#waiting.delete(channel);
      const row = this.#rows.get(channel);
      if (row?.actual === 'present') this.#toUnsubscribe.add(channel);
      else this.#toRetry.add(channel);
    }
  }

  /** Channels to tell the owner of as subscribed. Taken means told. */
  takeConfirmed(): string[] {
    const channels = take(this.#toTell, this.#toTell.size);
    for (const channel of channels) this.#tell(channel);
    return channels;
  }

  /** True once for each link, when nothing that was wanted as it came up is still undecided. */
  takeRestored(): boolean {
    if (!this.#up || this.#restoredTaken || this.#restoring.size > 0) return false;
    this.#restoredTaken = true;
    return true;
  }

  /**
   * What to do with a message on `channel`. The ack of a SUBSCRIBE reaches its sender a microtask
   * later than a message that stands right behind it in the same chunk. But a message proves the
   * subscription, too: on `confirm` the channel counts as told from here on.
   */
  receive(channel: string): MessageVerdict {
    const row = this.#rows.get(channel);
    if (!row?.wanted || (row.actual !== 'present' && row.actual !== 'subscribing')) return 'drop';
    if (row.told) return 'deliver';
    this.#toTell.delete(channel);
    this.#tell(channel);
    return 'confirm';
  }

  #plan(channel: string, row: Row): void {
    if (!this.#up || row.actual === 'absent') {
      if (!row.wanted) this.#forget(channel);
      else if (this.#up) this.#toSubscribe.add(channel);
    } else if (row.actual === 'present') {
      this.#waiting.delete(channel);
      this.#toTell.delete(channel);
      this.#toUnsubscribe.delete(channel);
      if (!row.wanted) this.#toUnsubscribe.add(channel);
      else if (!row.told) this.#toTell.add(channel);
    }
  }

  #takeJoining(): string[] {
    for (let half = this.#halves.pop(); half !== undefined; half = this.#halves.pop()) {
      const channels = half.filter((channel) => this.#joins(channel));
      for (const channel of channels) this.#toSubscribe.delete(channel);
      if (channels.length > 0) return channels;
    }
    const fresh = take(this.#toSubscribe, this.#options.batchChannels);
    return fresh.length > 0 ? fresh : take(this.#toRetry, 1);
  }

  #joins(channel: string): boolean {
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

  #tell(channel: string): void {
    const row = this.#rows.get(channel);
    if (row !== undefined) row.told = true;
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
