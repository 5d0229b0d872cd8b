import type { BodyOf, Publication } from '@tradewind/fanout';

/**
 * The most bytes of bodies that are kept, per worker: some thousand trades, until {@link PastBodies.clear}. Clients that resume or catch up at the same time read the same
 * publications, one client after the other.
 */
const KEPT_BYTES = 1024 * 1024;

interface PastBody {
  readonly body: Uint8Array;
  /** The reference of the channel when it was made. With another one the body would be another. */
  readonly reference: object | undefined;
}

/**
 * The bodies of past publications in a format that makes them anew for each call. Clients share them, so that a thousand clients that catch up do
 * not make and hold a thousand of each.
 */
export class PastBodies {
  readonly #make: BodyOf;
  readonly #keptBytes: number;
  /** The oldest first. */
  readonly #made = new Map<Publication, PastBody>();
  #bytes = 0;

  constructor(make: BodyOf, keptBytes = KEPT_BYTES) {
    this.#make = make;
    this.#keptBytes = keptBytes;
  }

  readonly bodyOf: BodyOf = (publication) => {
    const reference = publication.wire?.reference;
    const known = this.#made.get(publication);
    if (known?.reference === reference && known !== undefined) return known.body;
    if (known !== undefined) this.#drop(publication, known);
    const body = this.#make(publication);
    this.#made.set(publication, { body, reference });
    this.#bytes += body.length;
    for (const [oldest, past] of this.#made) {
      if (this.#bytes <= this.#keptBytes) break;
      this.#drop(oldest, past);
    }
    return body;
  };

  /**
   * Lets go of everything. Call it once a second: each publication that is a key holds the whole buffer in which it came to the worker, up to
   * 64 KiB, also when the log has let it go.
   */
  clear(): void {
    this.#made.clear();
    this.#bytes = 0;
  }

  #drop(publication: Publication, { body }: PastBody): void {
    this.#made.delete(publication);
    this.#bytes -= body.length;
  }
}
