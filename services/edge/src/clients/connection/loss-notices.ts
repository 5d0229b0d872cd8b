import { countOf, type Loss, missingPublications, type Notice } from '@tradewind/fanout';
import type { Gap } from '@tradewind/protocol';
import type { GapNotice, ResyncNotice } from '../../feed.ts';
import { oncePerFormat, type WireFormat } from '../../outbound/wire-format.ts';

/** A notice with the payload of the control frame that tells it. */
export type EncodedNotice = Notice & { readonly frame: Uint8Array };

/** Returns the notice of a gap of the feed in a format. It is encoded once for each format. */
export function gapNotice(gap: GapNotice): (format: WireFormat) => EncodedNotice {
  const { channel, lost, from, to } = gap;
  const missing = missingPublications(lost, from, to);
  return oncePerFormat((format) => {
    return { channel, missing, frame: format.encodeControl({ type: 'gap', ...gap }) };
  });
}

/** Joins two gaps of one channel and epoch, for clients that are sent nothing between them. The reason of the second one stays. */
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
 * Returns the notice of a new epoch in a format. It is encoded once for each format.
 *
 * @param endedEpoch empty if the channel had no offsets. If the new epoch then begins at offset 0, it is the channel's first
 *   one, and clients get all of it.
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

/** The `gap` that tells a client of its loss: with the range of offsets if there are any, and with the count if it is known. */
export function gapOf({ channel, missing, reason }: Loss, epoch: string | undefined): Gap {
  const range =
    missing.kind === 'range' && epoch ? { epoch, from: missing.from, to: missing.to } : {};
  const lost = countOf(missing);
  if (lost === undefined) return { type: 'gap', channel, ...range, reason: 'link' };
  return { type: 'gap', channel, ...range, lost, reason };
}
