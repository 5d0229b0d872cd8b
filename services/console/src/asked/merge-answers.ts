import {
  type ChannelPosition,
  type FoundClient,
  MAX_LISTED_CHANNELS,
  type NodeAnswer,
  type WatchedList,
} from '@tradewind/bus';

/** A channel over all edges. */
export interface ChannelRow {
  readonly channel: string;
  /** Publications a second: the largest of all edges, because each that holds the channel gets all of them. */
  readonly rate: number;
  /** Clients of the edges that list it. */
  readonly subscribers: number;
  /** Whether an edge that does not list it may have more: one lists its first hundred, and one has not answered. */
  readonly isLeast: boolean;
  /** Since the latest publication, in ms; -1 where none has come. */
  readonly ageMs: number;
  /** What binary frames save the clients of the edges that list it, in bytes a second. */
  readonly saved: number;
  /** The edges that list it. */
  readonly nodes: number;
}

/** A channel on one edge, for the drawer. */
export interface ChannelOnNode extends ChannelPosition {
  readonly node: string;
}

/** A client, and where it is or was. */
export interface ClientOnNode extends FoundClient {
  readonly node: string;
}

/** The most clients that a page is shown of one search. */
const MAX_SHOWN_CLIENTS = 50;

/** The most ended clients among them, so that connected ones have room. */
const MAX_SHOWN_ENDS = 25;

/** Whether an edge has answered a list. Until then it is unknown what is on it, unless there is no edge. */
export function isListAnswered(
  list: WatchedList,
  answers: readonly NodeAnswer[],
  edges: number,
): boolean {
  return edges === 0 || answers.some(({ lists }) => lists.some((own) => isSameList(own, list)));
}

function isSameList(one: WatchedList, other: WatchedList): boolean {
  return one.order === other.order && one.text === other.text;
}

/**
 * A list over all edges: what each listed, joined by channel.
 *
 * @param edges the number of edges that were asked, whether they have answered or not.
 */
export function mergeList(
  list: WatchedList,
  answers: readonly NodeAnswer[],
  edges: number,
): readonly ChannelRow[] {
  const rows = new Map<string, ChannelRow>();
  /** The number of edges with complete lists: a channel missing from one has no subscriber there. */
  let wholeLists = 0;
  /** Of each channel, the other edges that list it. */
  const inPartOfList = new Map<string, number>();
  for (const { lists } of answers) {
    const own = lists.find((each) => isSameList(each, list));
    const isWhole = own !== undefined && own.channels.length < MAX_LISTED_CHANNELS;
    if (isWhole) wholeLists += 1;
    for (const { channel, rate, subscribers, ageMs, saved = 0 } of own?.channels ?? []) {
      if (!isWhole) inPartOfList.set(channel, 1 + (inPartOfList.get(channel) ?? 0));
      const before = rows.get(channel);
      rows.set(channel, {
        channel,
        rate: Math.max(rate, before?.rate ?? 0),
        subscribers: subscribers + (before?.subscribers ?? 0),
        isLeast: false,
        ageMs: latest(ageMs, before?.ageMs ?? -1),
        saved: saved + (before?.saved ?? 0),
        nodes: 1 + (before?.nodes ?? 0),
      });
    }
  }
  const measure = {
    rate: ({ rate, subscribers }: ChannelRow) => rate + subscribers / 1e9,
    subscribers: ({ subscribers }: ChannelRow) => subscribers,
    quiet: ({ ageMs }: ChannelRow) => (ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs),
  }[list.order];
  const sorted = [...rows.values()].sort(
    (a, b) => compare(measure(b), measure(a)) || a.channel.localeCompare(b.channel),
  );
  return sorted.slice(0, MAX_LISTED_CHANNELS).map((row) => {
    const told = wholeLists + (inPartOfList.get(row.channel) ?? 0);
    return { ...row, isLeast: told < edges };
  });
}

/** A channel on each edge that holds it, by the names of the edges. */
export function mergeChannel(
  channel: string,
  answers: readonly NodeAnswer[],
): readonly ChannelOnNode[] {
  return answers
    .flatMap(({ node, channels }) =>
      channels
        .filter((position) => position.channel === channel)
        .map((position) => ({ node, ...position })),
    )
    .toSorted((a, b) => a.node.localeCompare(b.node, 'en', { numeric: true }));
}

/** What all edges found: the clients that are connected, the worst first, and then those that ended last. */
export function mergeSearch(text: string, answers: readonly NodeAnswer[]): readonly ClientOnNode[] {
  const clients = answers.flatMap(({ node, searches }) =>
    searches
      .filter((search) => search.text === text)
      .flatMap((search) => search.clients.map((client) => ({ node, ...client }))),
  );
  const open = clients.filter(({ endedAt }) => endedAt === undefined);
  const gone = clients.filter(({ endedAt }) => endedAt !== undefined);
  open.sort((a, b) => b.stalledMs - a.stalledMs || b.queue - a.queue);
  gone.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
  const ends = Math.min(gone.length, MAX_SHOWN_ENDS);
  const shown = open.slice(0, MAX_SHOWN_CLIENTS - ends);
  return [...shown, ...gone.slice(0, MAX_SHOWN_CLIENTS - shown.length)];
}

/** The age of the later of two publications, either of which may be missing. */
function latest(one: number, other: number): number {
  if (one < 0) return other;
  return other < 0 ? one : Math.min(one, other);
}

/** Infinity minus itself is no number. */
function compare(one: number, other: number): number {
  return one === other ? 0 : one - other;
}
