import type { BodyOf, Publication, WireReference } from '@tradewind/fanout';
import type { WireFormat } from '../outbound/wire-format.ts';
import type { Connection } from './connection/connection.ts';
import type { Membership } from './membership/membership.ts';

/** Clients that have all of a channel, and are sent the same bytes of a publication. */
interface DeliveryGroup {
  /** The group in the index. */
  readonly group: number;
  /** The body that they are sent. For text frames it is the publication's own. */
  readonly bodyOf: BodyOf;
  /** Whether they are told each reference of the channel. */
  readonly isTold: boolean;
}

/** Whether a client was told this reference of a channel last. It is asked of those who may be told references. */
type WasTold = (
  connection: Connection,
  channel: string,
  reference: WireReference | undefined,
) => boolean;

/**
 * What clients are sent of a publication. It depends on the format that they speak and, in binary frames, on whether they were told
 * the references of the channel; those who were not read raw.
 */
export class PublicationBodies {
  /** All who have all of a channel. */
  readonly groups: readonly DeliveryGroup[];
  readonly #membership: Membership;
  readonly #wasTold: WasTold;
  /** Bodies of the past, by the group of a binary format. */
  readonly #past = new Map<number, PastBodies>();
  /** The same for those who read raw. */
  readonly #pastRaw = new Map<number, PastBodies>();

  /** @param formats in the order of their groups. */
  constructor(formats: readonly WireFormat[], membership: Membership, wasTold: WasTold) {
    this.#membership = membership;
    this.#wasTold = wasTold;
    this.groups = formats.flatMap(({ isBinary, bodyOf }, group) => {
      if (!isBinary) return [{ group, bodyOf, isTold: false }];
      const rawBodyOf: BodyOf = (publication) => bodyOf(rawOf(publication));
      this.#past.set(group, new PastBodies(bodyOf));
      this.#pastRaw.set(group, new PastBodies(rawBodyOf));
      return [
        { group, bodyOf, isTold: true },
        { group: membership.rawGroup(group), bodyOf: rawBodyOf, isTold: false },
      ];
    });
  }

  /**
   * The body for clients of one format that have the latest of a channel.
   *
   * @param skipped how many publications before it they were not sent.
   * @param isRaw whether they were not told what it is deflated against.
   */
  latestBodyOf(
    publication: Publication,
    { bodyOf }: WireFormat,
    skipped: number,
    isRaw: boolean,
  ): Uint8Array {
    return bodyOf(isRaw ? rawOf(publication) : publication, skipped);
  }

  /** What one connection is sent of publications of the past. */
  pastBodiesFor({ isBinary, bodyOf }: WireFormat, connectionOf: () => Connection): BodyOf {
    if (!isBinary) return bodyOf;
    return (publication) => {
      const connection = connectionOf();
      const { channel, wire } = publication;
      const isTold =
        this.#membership.readsReferences(connection, channel) &&
        this.#wasTold(connection, channel, wire?.reference);
      const bodies = (isTold ? this.#past : this.#pastRaw).get(connection.group) as PastBodies;
      return bodies.bodyOf(publication);
    };
  }

  /** See {@link PastBodies.clear}. */
  clear(): void {
    for (const bodies of [...this.#past.values(), ...this.#pastRaw.values()]) bodies.clear();
  }
}

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

/** The publication for clients that were told no reference. One that is deflated by itself needs none. */
function rawOf(publication: Publication): Publication {
  const { reference = 0 } = publication.deflated ?? {};
  return reference === 0 ? publication : { ...publication, deflated: undefined };
}
