import {
  type Client,
  connect,
  type Gap,
  type Publication,
  type StateChange,
} from '@tradewind/client';

/** The trades of one channel that the tape and the spark line remember: half a minute at 12 a second, and bursts. */
const MAX_TICKS = 600;

/** Prices that a spark line shows. */
const MAX_PRICES = 80;

/** Lines of what happened that are kept. */
const MAX_EVENTS = 30;

/** How long after a move its trades of the meantime are counted, in ms: they come in the first second. */
const RECOVERY_MS = 1_500;

/** How long a channel may be quiet after a move before it counts as a quiet one, in ms: a busy machine takes its time. */
const MOST_RECOVERY_MS = 12_000;

/** Trades of the past with which a channel begins. */
const HISTORY = 120;

/** Characters of a publication that is no trade. */
const MAX_TEXT = 60;

/** A trade on the tape. */
export interface Tick {
  /** When it was published, in ms since the Unix epoch. */
  readonly at: number;
  /** The node that delivered it. */
  readonly node: string;
  /** It was missed while the page was between two nodes, and came from history. */
  readonly recovered: boolean;
}

/** What the page knows of one channel. */
export interface Row {
  readonly name: string;
  /** The last price, or the text of a publication that is no trade. */
  price: string;
  direction: 'up' | 'down' | 'same';
  lagMs: number | undefined;
  epoch: string | undefined;
  offset: number | undefined;
  received: number;
  readonly prices: number[];
  readonly ticks: Tick[];
}

/** A line of what happened. */
export interface Happening {
  readonly id: number;
  readonly at: number;
  readonly tone: 'good' | 'bad' | 'plain';
  readonly text: string;
}

/** From the loss of a connection to the next one. */
export interface Outage {
  readonly from: number;
  to: number | undefined;
}

export type Whereabouts =
  | { readonly name: 'connecting' }
  | { readonly name: 'live'; readonly node: string }
  | { readonly name: 'moving'; readonly from: string };

/**
 * Follows channels by the SDK, and judges on its own what comes: each offset must follow the one before, unless a gap was told.
 * It lives as long as the page.
 */
export class Follower {
  readonly rows: Row[] = [];
  readonly happenings: Happening[] = [];
  readonly outages: Outage[] = [];
  whereabouts: Whereabouts = { name: 'connecting' };
  received = 0;
  /** Missed between two nodes, and then brought by history. */
  recovered = 0;
  /** Told by a gap: history did not hold them any more. */
  toldMissing = 0;
  /** Skipped offsets that nobody told, which must never be. */
  untoldMissing = 0;
  twice = 0;
  moves = 0;
  readonly #client: Client;
  readonly #names = new Set<string>();
  #session: string | undefined;
  /** Whether the node of this session has told that it will end. */
  #isLeaving = false;
  #lostAt: number | undefined;
  #nextId = 1;

  /** @param nextUrl the address of the node to try, for each attempt. */
  constructor(nextUrl: () => string) {
    this.#client = connect(nextUrl, { backoff: { firstMs: 500, maxMs: 2_000 } });
    this.#client.on('state', (change) => this.#takeState(change));
  }

  /** Begins to follow a channel; does nothing if it does already. */
  follow(name: string): void {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const row: Row = {
      name,
      price: '',
      direction: 'same',
      lagMs: undefined,
      epoch: undefined,
      offset: undefined,
      received: 0,
      prices: [],
      ticks: [],
    };
    this.rows.push(row);
    this.#client.channel(name, { history: HISTORY }).subscribe({
      publication: (publication) => this.#take(row, publication),
      gap: (gap) => this.#takeGap(row, gap),
      resync: ({ epoch, offset, reason }) => {
        row.epoch = epoch;
        row.offset = offset;
        if (reason !== 'started') this.#note('bad', `${name} begins anew: ${reason}`);
      },
    });
  }

  /** Lag of the latest publications, in ms. */
  get lagMs(): { readonly p50: number; readonly p99: number } | undefined {
    return this.#client.stats().lagMs;
  }

  #take(row: Row, publication: Publication<unknown>): void {
    const { offset, epoch, ts, replayed, lagMs } = publication;
    const recovered = replayed && row.offset !== undefined && row.received > 0;
    if (offset !== undefined) {
      if (row.offset !== undefined && epoch === row.epoch) {
        if (offset <= row.offset) this.twice += 1;
        else this.untoldMissing += offset - row.offset - 1;
      }
      row.offset = offset;
      row.epoch = epoch;
    }
    this.received += 1;
    row.received += 1;
    if (recovered && this.moves > 0) this.recovered += 1;
    if (!replayed) row.lagMs = lagMs;
    this.#takePrice(row, publication.data);
    row.ticks.push({ at: ts, node: this.#node, recovered: recovered && this.moves > 0 });
    if (row.ticks.length > MAX_TICKS) row.ticks.shift();
  }

  #takePrice(row: Row, data: unknown): void {
    const text = priceOf(data);
    if (text === undefined) {
      row.price = (JSON.stringify(data) ?? '').slice(0, MAX_TEXT);
      row.direction = 'same';
      return;
    }
    const price = Number(text);
    const before = row.prices.at(-1) ?? price;
    row.direction = price > before ? 'up' : price < before ? 'down' : 'same';
    row.price = text;
    row.prices.push(price);
    if (row.prices.length > MAX_PRICES) row.prices.shift();
  }

  #takeGap(row: Row, { to, lost, reason }: Gap): void {
    this.toldMissing += lost ?? 0;
    if (to !== undefined) row.offset = to;
    this.#note(
      'bad',
      `${row.name}: ${lost ?? 'some'} trades are missing, and the page was told (${reason})`,
    );
  }

  get #node(): string {
    return this.whereabouts.name === 'live' ? this.whereabouts.node : '';
  }

  #takeState({ state, previous }: StateChange): void {
    if (state.name !== 'online') {
      if (previous.name !== 'online') return;
      const { node } = previous.session;
      this.#lostAt = Date.now();
      this.outages.push({ from: this.#lostAt, to: undefined });
      if (this.outages.length > MAX_EVENTS) this.outages.shift();
      this.whereabouts = { name: 'moving', from: node };
      this.#note('bad', `The connection to ${node} was lost.`);
      return;
    }
    const { id, node } = state.session;
    if (id === this.#session) {
      if (state.leaving !== undefined && !this.#isLeaving) {
        this.#isLeaving = true;
        this.#note('plain', `${node} will end, and told this page to move.`);
      }
      return;
    }
    this.#session = id;
    this.#isLeaving = false;
    this.#arrive(node);
  }

  #arrive(node: string): void {
    const { whereabouts } = this;
    this.whereabouts = { name: 'live', node };
    if (whereabouts.name === 'connecting') {
      this.#note('good', `Connected to ${node}.`);
      return;
    }
    this.moves += 1;
    const now = Date.now();
    const outage = this.outages.at(-1);
    if (outage !== undefined) outage.to ??= now;
    const took =
      this.#lostAt === undefined ? '' : ` after ${((now - this.#lostAt) / 1_000).toFixed(1)} s`;
    this.#lostAt = undefined;
    const { recovered } = this;
    const missing = this.#missing;
    this.#note('good', `Live on ${node}${took}.`);
    const before = new Map(this.rows.map((row) => [row, row.received]));
    const tell = (): void => {
      const isHeard = [...before].every(([row, received]) => row.received > received);
      if (!isHeard && Date.now() - now < MOST_RECOVERY_MS) {
        setTimeout(tell, RECOVERY_MS);
        return;
      }
      const came = this.recovered - recovered;
      const lost = this.#missing - missing;
      this.#note(
        lost === 0 ? 'good' : 'bad',
        took === '' && lost === 0
          ? 'Nothing was missed: the old connection stayed until the new one had everything.'
          : `${came} trades of the meantime came from history, ${lost} are missing.`,
      );
    };
    setTimeout(tell, RECOVERY_MS);
  }

  get #missing(): number {
    return this.toldMissing + this.untoldMissing;
  }

  #note(tone: Happening['tone'], text: string): void {
    this.happenings.unshift({ id: this.#nextId, at: Date.now(), tone, text });
    this.#nextId += 1;
    if (this.happenings.length > MAX_EVENTS) this.happenings.pop();
  }
}

function priceOf(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !('price' in data)) return undefined;
  const { price } = data;
  const text = typeof price === 'number' ? String(price) : price;
  return typeof text === 'string' && Number.isFinite(Number(text)) && text !== ''
    ? text
    : undefined;
}
