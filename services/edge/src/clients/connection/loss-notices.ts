import { countOf, type Loss, missingPublications, type Notice } from '@tradewind/fanout';
import type { Gap } from '@tradewind/protocol';
import type { GapNotice, ResyncNotice } from '../../feed.ts';
import { oncePerFormat, type WireFormat } from '../../outbound/wire-format.ts';

/** A notice with the payload that tells it. */
export type EncodedNotice = Notice & { readonly frame: Uint8Array };

/** The notice of a gap on the feed, encoded once for each format that asks for it. */
export function gapNotice(gap: GapNotice): (format: WireFormat) => EncodedNotice {
  const { channel, lost, from, to } = gap;
  const missing = missingPublications(lost, from, to);
  return oncePerFormat((format) => {
    return { channel, missing, frame: format.encodeControl({ type: 'gap', ...gap }) };
  });
}

/** Two gaps of one channel and epoch as one, for those who are sent nothing between them; the reason is that of the second. */
export function joinGaps(one: GapNotice | undefined, next: GapNotice): GapNotice {
  if (one === undefined) return next;
  const { channel, reason, epoch = one.epoch, to = one.to } = next;
  const from = one.from ?? next.from;
  const lost = one.lost === undefined || next.lost === undefined ? undefined : one.lost + next.lost;
  return {
    channel,
    ...(epoch !== undefined && from !== undefined && to !== undefined && { epoch, from, to }),
    ...(lost !== undefined && { lost }),
    reason,
  };
}

/**
 * The notice of a new epoch, encoded once for each format that asks for it.
 *
 * @param endedEpoch empty if the channel had no offsets. An epoch that then begins at offset 0 is its first one here, and
 *   all of it follows.
 */
export function resyncNotice(
  resync: ResyncNotice,
  endedEpoch: string,
): (format: WireFormat) => EncodedNotice {
  const { channel } = resync;
  const reason = endedEpoch === '' && resync.offset === 0 ? 'started' : 'history_lost';
  const missing = { kind: 'epoch-end', epoch: endedEpoch } as const;
  return oncePerFormat((format) => {
    const frame = format.encodeControl({ type: 'resync', ...resync, reason });
    return { channel, missing, frame };
  });
}

/** The `gap` that tells a client of its loss: with the offsets if they have any, and with the count if it is known. */
export function gapOf({ channel, missing, reason }: Loss, epoch: string | undefined): Gap {
  const range =
    missing.kind === 'range' && epoch ? { epoch, from: missing.from, to: missing.to } : {};
  const lost = countOf(missing);
  if (lost === undefined) return { type: 'gap', channel, ...range, reason: 'link' };
  return { type: 'gap', channel, ...range, lost, reason };
}
