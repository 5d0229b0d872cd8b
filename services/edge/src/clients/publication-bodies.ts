import type { BodyOf, Publication, WireReference } from '@tradewind/fanout';
import type { WireFormat } from '../outbound/wire-format.ts';
import type { Connection } from './connection/connection.ts';
import type { Membership } from './membership/membership.ts';

/** A group of clients that have all of a channel and are sent the same bytes of a publication. */
interface DeliveryGroup {
  /** The group in the index. */
  readonly group: number;
  /** Returns the body that they are sent; the publication's own for text frames. */
  readonly bodyOf: BodyOf;
  /** Whether they are told each reference of the channel. */
  readonly isTold: boolean;
}

/** Whether this is the last reference of a channel that a client was told. It is called for clients that may be told references. */
type WasTold = (
  connection: Connection,
  channel: string,
  reference: WireReference | undefined,
) => boolean;

/**
 * What clients are sent of a publication. It depends on their format and, for binary frames, on whether they were told the
 * references of the channel. Clients that were not told them read raw.
 */
export class PublicationBodies {
  /** All who have all of a channel. */
  readonly groups: readonly DeliveryGroup[];
  readonly #membership: Membership;
  readonly #wasTold: WasTold;
  /** Bodies of the past, by the group of a binary format. */
  readonly #past = new Map<number, PastBodies>();
  /** The same for clients that read raw. */
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

  /** Returns what one connection is sent of publications of the past. The bodies are shared. */
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
 * The most bytes of bodies that are kept until {@link PastBodies.clear}: some thousand trades. Clients that resume or catch up at the
 * same time read the same publications, one client after the other.
 */
const KEPT_BYTES = 1024 * 1024;

interface PastBody {
  readonly body: Uint8Array;
  /** The reference of the channel when the body was made. With another reference the body would differ. */
  readonly reference: object | undefined;
}

/**
 * The bodies of past publications in a format that makes a new one for each call. Clients share them, so that a thousand clients
 * that catch up do not make and hold a thousand of each.
 */
export class PastBodies {
  readonly #make: BodyOf;
  readonly #keptBytes: number;
  /** The oldest first. */
  readonly #made = new Map<Publication, PastBody>();
  #bytes = 0;

  /** @param keptBytes the most bytes of bodies that it keeps. */
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
   * Drops all bodies. Call it once a second: each publication that is a key keeps the whole buffer alive in which it came to the
   * worker, up to 64 KiB, even if the log has dropped the publication.
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

/** The publication for clients that were told no reference. A payload that is deflated by itself needs none. */
function rawOf(publication: Publication): Publication {
  const { reference = 0 } = publication.deflated ?? {};
  return reference === 0 ? publication : { ...publication, deflated: undefined };
}
