import type { ChannelState, Gap, Handlers, Publication, Resync } from '../types.ts';
import { Consumer, type ConsumerOwner } from './consumer.ts';
import { MissedItems } from './missed.ts';

/** The most publications of one `batch`: a hidden page gets its turns once a second. */
const LARGEST_BATCH = 1_024;

/** Calls functions of the application. It holds nothing back, except a batch until the next turn of the event loop. */
export class Listener extends Consumer {
  readonly #owner: ConsumerOwner;
  readonly #handlers: Handlers<unknown>;
  readonly #stopped: (() => void) | undefined;
  /** Most channels lose nothing, and most listeners want no batches: with 10,000 channels that counts. */
  #missed: MissedItems | undefined;
  #batch: Publication<unknown>[] | undefined;
  #isOver = false;

  /** @param stopped called when nothing is called any more, also where the client was closed. */
  constructor(owner: ConsumerOwner, handlers: Handlers<unknown>, stopped?: () => void) {
    super();
    this.#stopped = stopped;
    this.#owner = owner;
    this.#handlers = handlers;
  }

  override get waiting(): number {
    return this.#batch?.length ?? 0;
  }

  override state(state: ChannelState): void {
    this.#call(() => this.#handlers.state?.(state));
  }

  end(): void {
    this.#flush();
    this.stop();
  }

  /** Nothing is called any more. */
  stop(): void {
    this.#batch = undefined;
    this.#isOver = true;
    this.#stopped?.();
  }

  protected take(shared: Publication<unknown>): void {
    const missed = this.#missed?.take();
    const publication = missed ? { ...shared, missed } : shared;
    const { batch } = this.#handlers;
    this.#call(() => this.#handlers.publication?.(publication));
    if (batch === undefined) return;
    this.#batch ??= [];
    if (this.#batch.push(publication) === 1) this.#owner.later(() => this.#flush());
    else if (this.#batch.length === LARGEST_BATCH) this.#flush();
  }

  protected lost(item: Gap | Resync): void {
    this.#missed ??= new MissedItems();
    this.#missed.add(item);
    this.#flush();
    this.#call(() =>
      item.kind === 'gap' ? this.#handlers.gap?.(item) : this.#handlers.resync?.(item),
    );
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch !== undefined) this.#call(() => this.#handlers.batch?.(batch));
  }

  #call(call: () => void): void {
    if (!this.#isOver) this.#owner.guard(call);
  }
}
