import type { HistoryPage } from '../sequence/message.ts';
import type { HubChannel } from './channel.ts';
import type { HistoryRequests } from './channel-waiters.ts';
import type { HistoryBudget } from './history-budget.ts';
import type { HistoryPages } from './history-pages.ts';

/** Reads the history of a channel for the workers that wait for it. */
export class WorkerHistory {
  readonly #pages: HistoryPages;
  readonly #budget: HistoryBudget<HubChannel>;
  readonly #maxHistory: number;

  /** @param maxHistory the most publications that one read returns. */
  constructor(pages: HistoryPages, budget: HistoryBudget<HubChannel>, maxHistory: number) {
    this.#pages = pages;
    this.#budget = budget;
    this.#maxHistory = maxHistory;
  }

  /**
   * Reads what workers missed of the channel, the oldest first. They request the rest again. If the operation was not superseded,
   * the caller must call the result, which answers the workers and returns false if the read is older than what was known.
   */
  async fillIn(channel: HubChannel): Promise<() => boolean> {
    const { fillIns } = channel.waiters;
    const { from, until } = fillIns;
    // One entry more at the beginning: if it is there, a missing offset after it was not trimmed, but is a gap.
    const first = Math.max(1, from - 1);
    const page = await this.#pages.readForward(channel.name, first, this.#maxHistory + 1);
    const { position, publications, isWhole } = page;
    const end = position?.offset ?? 0;
    const last = isWhole === true ? end : (publications.at(-1)?.offset ?? 0);
    return () => answer(channel, fillIns, { from, until, page, end, last });
  }

  /** Like {@link fillIn}, for workers whose clients resume: reads the latest first, up to the most that may be replayed. */
  async resume(channel: HubChannel): Promise<() => boolean> {
    const { sequence, waiters } = channel;
    const { requests } = waiters;
    const { from, until } = requests;
    const present = sequence.position;
    if (present === undefined) return () => answer(channel, requests, NOTHING_READ);
    const expected = this.#budget.beginRead();
    let bytes = 0;
    try {
      const page = await this.#pages.readBack(channel.name, from, present);
      ({ bytes } = page);
      const end = page.isWhole === false ? 0 : present.offset;
      return () => answer(channel, requests, { from, until, page, end, last: end });
    } finally {
      this.#budget.endRead(expected, bytes);
    }
  }
}

/** A finished read for workers that wait for history. */
interface FinishedRead {
  /** The first offset that was requested. */
  readonly from: number;
  /** The offset that the channel had reached before the read. */
  readonly until: number;
  readonly page: HistoryPage & { readonly tooLongBefore?: number | undefined };
  /** The offset that the channel had reached when it was read; 0 if the read cannot answer any request. */
  readonly end: number;
  /** The last offset that the page covers, inclusive. */
  readonly last: number;
}

const NOTHING_READ: FinishedRead = {
  ...{ from: 0, until: 0, end: 0, last: 0 },
  page: { position: undefined, publications: [] },
};

/** Answers the workers that wait. Returns false if the read shows less than the channel had reached before it. */
function answer(channel: HubChannel, requests: HistoryRequests, read: FinishedRead): boolean {
  const { from, until, page, end, last } = read;
  const { position, tooLongBefore } = page;
  const present = channel.sequence.position;
  if (present === undefined) {
    requests.fail('', 'unavailable');
    return true;
  }
  const history = channel.encodeHistory(page, tooLongBefore ?? from, last);
  requests.answer({ from, epoch: position?.epoch, end, history, tooLongBefore }, present);
  return position?.epoch !== present.epoch || end >= until;
}
