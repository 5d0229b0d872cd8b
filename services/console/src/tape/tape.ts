import {
  type Channel,
  connect,
  exactNumbers,
  type Gap,
  type Publication,
  type Resync,
} from '@tradewind/client';

/** What a tape shows, in the order in which it happened. */
export type TapeItem =
  | {
      readonly kind: 'publication';
      /** Missing for a plain `PUBLISH`. */
      readonly offset?: number;
      readonly epoch?: string;
      /** When it was published, in ms of the server's clock. */
      readonly ts: number;
      /** When the console had it, in ms of its own clock. */
      readonly at: number;
      /** How old it was then, by the server's clock; missing for what came from history. */
      readonly lagMs?: number;
      /** The first 300 characters of the payload's JSON. */
      readonly text: string;
      /** The payload's `price`, or its `p`, where it is a number. */
      readonly price?: number;
    }
  | {
      readonly kind: 'gap';
      readonly from?: number;
      readonly to?: number;
      readonly lost?: number;
      readonly reason: string;
    }
  | { readonly kind: 'resync'; readonly epoch?: string; readonly reason: string }
  /** The console was given more than it shows. */
  | { readonly kind: 'skipped'; readonly count: number };

/** How a tape is doing. */
export interface TapeState {
  /** Of the SDK's client: `online`, `waiting` and so on; `failed` if the channel cannot be had. */
  readonly name: string;
  /** The edge that it reads from. */
  readonly node?: string;
  readonly error?: string;
}

/** What pages get of a tape. */
export interface TapeMessage {
  readonly kind: 'tape';
  readonly channel: string;
  readonly state: TapeState;
  /** Tells one tape of the channel from the next: when it began, in ms of the console's clock. */
  readonly begunAt: number;
  /** The number of items before the first of `items`, since the tape began. A page that lacks some knows by it. */
  readonly before: number;
  readonly items: readonly TapeItem[];
}

/** How many items are kept for a page that comes later, and how many wait for the next message at most. */
export const KEPT_ITEMS = 200;

/** How many publications of the past a tape begins with. */
const HISTORY = 50;

const TEXT_CHARACTERS = 300;

/** Where a tape reads. */
export interface TapeSources {
  /** Edges, or the balancer in front of them. Attempts take turns. */
  readonly urls: readonly string[];
  readonly token: (() => string) | undefined;
}

/** One channel as a client of the tier sees it, by our own SDK: it continues over drains and losses of connections, and tells gaps. */
export class Tape {
  readonly channel: string;
  readonly #begunAt = Date.now();
  readonly #close: () => Promise<void>;
  readonly #kept: TapeItem[] = [];
  #pending: TapeItem[] = [];
  #skipped = 0;
  #taken = 0;
  #state: TapeState = { name: 'connecting' };
  #told: TapeState = this.#state;

  constructor(channel: string, { urls, token }: TapeSources) {
    this.channel = channel;
    let attempt = 0;
    const client = connect(() => urls[attempt++ % urls.length] ?? '', {
      reviver: exactNumbers,
      ...(token === undefined ? {} : { token }),
    });
    this.#close = () => client.close();
    client.on('state', ({ state }) => {
      this.#state = {
        name: state.name,
        ...(state.name === 'online' ? { node: state.session.node } : {}),
        ...(state.name === 'waiting' ? { error: state.cause.message } : {}),
        ...(state.name === 'closed' && state.error !== undefined
          ? { error: state.error.message }
          : {}),
      };
    });
    try {
      this.#follow(client.channel(channel, { history: HISTORY }));
    } catch (error) {
      // The name cannot be a channel's.
      this.#state = {
        name: 'failed',
        error: error instanceof Error ? error.message : String(error),
      };
    }
  }

  /** What has come since the last call, or undefined if nothing has. */
  take(): TapeMessage | undefined {
    if (this.#pending.length === 0 && this.#skipped === 0 && this.#state === this.#told) {
      return undefined;
    }
    const skipped = this.#skipped === 0 ? [] : [{ kind: 'skipped', count: this.#skipped } as const];
    const items = [...skipped, ...this.#pending];
    const message = this.#message(this.#taken, items);
    this.#taken += items.length;
    this.#kept.push(...items);
    this.#kept.splice(0, Math.max(0, this.#kept.length - KEPT_ITEMS));
    this.#pending = [];
    this.#skipped = 0;
    this.#told = this.#state;
    return message;
  }

  /** What a page that comes now must have: everything up to the last {@link take}. */
  get past(): TapeMessage {
    return this.#message(this.#taken - this.#kept.length, [...this.#kept]);
  }

  /** Ends its connection. */
  async close(): Promise<void> {
    await this.#close();
  }

  #follow(channel: Channel<unknown>): void {
    const subscription = channel.subscribe({
      publication: (publication) => this.#add(toItem(publication)),
      gap: (gap) => this.#add(gapItem(gap)),
      resync: (resync) => this.#add(resyncItem(resync)),
      state: (state) => {
        if (state.name !== 'failed') return;
        this.#state = { name: 'failed', error: state.error.message };
      },
    });
    // Why it cannot be had is in its state.
    subscription.ready.catch(() => undefined);
  }

  /** The oldest that wait give way: a page shows the latest. */
  #add(item: TapeItem): void {
    this.#pending.push(item);
    if (this.#pending.length <= KEPT_ITEMS) return;
    this.#pending.shift();
    this.#skipped += 1;
  }

  #message(before: number, items: readonly TapeItem[]): TapeMessage {
    const { channel } = this;
    return { kind: 'tape', channel, state: this.#state, begunAt: this.#begunAt, before, items };
  }
}

function toItem(publication: Publication<unknown>): TapeItem {
  const { offset, epoch, ts, lagMs, replayed, data } = publication;
  const price = priceOf(data);
  return {
    kind: 'publication',
    ...(offset === undefined ? {} : { offset }),
    ...(epoch === undefined ? {} : { epoch }),
    ...{ ts, at: Date.now() },
    ...(lagMs === undefined || replayed ? {} : { lagMs }),
    text: (JSON.stringify(data) ?? '').slice(0, TEXT_CHARACTERS),
    ...(price === undefined ? {} : { price }),
  };
}

function gapItem({ from, to, lost, reason }: Gap): TapeItem {
  return {
    kind: 'gap',
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(lost === undefined ? {} : { lost }),
    reason,
  };
}

function resyncItem({ epoch, reason }: Resync): TapeItem {
  return { kind: 'resync', ...(epoch === undefined ? {} : { epoch }), reason };
}

/** The price of a trade, as exchanges name it. Undefined where there is none. */
export function priceOf(data: unknown): number | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { price, p } = data as Readonly<Record<string, unknown>>;
  const value = price ?? p;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
