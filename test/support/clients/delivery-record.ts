import type { Gap, Position, PublicationMessage } from '@tradewind/protocol';
import type { Application } from './document-client-surroundings.ts';

/** The positions of all publications. Payloads are `{"n":1}`, `{"n":2}`, … in the order of publishing on a channel. */
export interface Published {
  /** The position of the publication with this number; undefined if there is none. */
  positionOf(channel: string, n: number): Position | undefined;
  /** The end of the channel. */
  endOf(channel: string): Position | undefined;
}

/** One event that a client gave its application. */
type Given =
  | { readonly kind: 'used'; readonly n: number; readonly offset: number }
  | { readonly kind: 'lost'; readonly gap: Gap }
  | { readonly kind: 'begins'; readonly at: Position | undefined }
  | { readonly kind: 'started'; readonly at: Position };

/** Records what a client gave its application. */
export class DeliveryRecord implements Application {
  readonly #given = new Map<string, Given[]>();
  /** The reasons of the reported losses. */
  readonly gapReasons = new Set<string>();
  readonly gaveUps: string[] = [];
  hasStopped = false;
  /** Publications without an offset. */
  readonly plain: PublicationMessage[] = [];

  used(publication: PublicationMessage): void {
    const { channel, offset, data } = publication;
    if (offset === undefined) this.plain.push(publication);
    else this.#of(channel).push({ kind: 'used', n: (data as { readonly n: number }).n, offset });
  }

  lost(gap: Gap): void {
    this.gapReasons.add(gap.reason);
    this.#of(gap.channel).push({ kind: 'lost', gap });
  }

  begins(channel: string, at: Position | undefined): void {
    this.#of(channel).push({ kind: 'begins', at });
  }

  started(channel: string, at: Position): void {
    this.#of(channel).push({ kind: 'started', at });
  }

  gaveUp(channel: string, code: string): void {
    this.gaveUps.push(`${channel} ${code}`);
  }

  stopped(): void {
    this.hasStopped = true;
  }

  /**
   * The number of events of one kind; a `begins` counts only if the application had used something of the channel
   * before.
   */
  count(kind: Given['kind']): number {
    let count = 0;
    for (const given of this.#given.values()) {
      const from = kind === 'begins' ? given.findIndex((each) => each.kind === 'used') : 0;
      if (from >= 0) count += given.slice(from).filter((each) => each.kind === kind).length;
    }
    return count;
  }

  /**
   * Returns each breach of the promise: every offset once, in order, or reported as lost. A client that begins anew may
   * begin anywhere after what it has received, unless it states its position. Call it only after the client must have
   * reached the end.
   */
  faultsOf(channel: string, published: Published): string[] {
    const faults: string[] = [];
    let last: Position | undefined;
    let lastNumber = 0;
    for (const each of this.#of(channel)) {
      if (each.kind === 'begins') last = each.at;
      else if (each.kind === 'started') {
        if (last !== undefined) faults.push(`started ${text(each.at)} at ${text(last)}`);
        last = each.at;
      } else if (each.kind === 'lost') {
        const { epoch, from, to } = each.gap;
        if (epoch === undefined || from === undefined || to === undefined) continue;
        if (last !== undefined && (epoch !== last.epoch || from > last.offset + 1)) {
          faults.push(`${JSON.stringify(each.gap)} at ${text(last)}`);
        }
        last = { epoch, offset: to };
      } else {
        const { n, offset } = each;
        const position = published.positionOf(channel, n);
        if (position === undefined || position.offset !== offset) {
          faults.push(`number ${n} as ${offset}, and was published as ${text(position)}`);
          continue;
        }
        if (n <= lastNumber) faults.push(`number ${n} after ${lastNumber}`);
        if (last !== undefined && text(position) !== text(next(last))) {
          faults.push(`number ${n}, ${text(position)}, after ${text(last)}`);
        }
        last = position;
        lastNumber = n;
      }
    }
    const end = published.endOf(channel);
    if (text(last) !== text(end)) faults.push(`at ${text(last)} of ${text(end)}`);
    return faults.map((fault) => `${channel}: ${fault}`);
  }

  /** Whether the last event of a channel is at its end. */
  isAtEnd(channel: string, published: Published): boolean {
    return text(this.#last(channel, published)) === text(published.endOf(channel));
  }

  #last(channel: string, published: Published): Position | undefined {
    const last = this.#of(channel).at(-1);
    if (last === undefined) return undefined;
    if (last.kind === 'used') return published.positionOf(channel, last.n);
    if (last.kind === 'begins' || last.kind === 'started') return last.at;
    const { epoch, to } = last.gap;
    return epoch === undefined || to === undefined ? undefined : { epoch, offset: to };
  }

  #of(channel: string): Given[] {
    const given = this.#given.get(channel) ?? [];
    this.#given.set(channel, given);
    return given;
  }
}

function next({ epoch, offset }: Position): Position {
  return { epoch, offset: offset + 1 };
}

function text(position: Position | undefined): string {
  return position === undefined ? 'nowhere' : `${position.epoch}/${position.offset}`;
}
