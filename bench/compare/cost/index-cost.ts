import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  createDeliveryRound,
  deliver,
  Outbox,
  type Publication,
  PublicationLog,
  SendQueues,
  SubscriptionIndex,
} from '@tradewind/fanout';
import { median } from '../figures/ratio.ts';

/** Channels of each client in indexes of {@link LEAST_WHOLE} or more subscriptions. */
const CHANNELS_PER_CLIENT = 10;

/**
 * The subscriptions of a hundred clients, over which an operation is timed. Smaller indexes are built a hundred times,
 * and each gets one operation in turn, because a single operation is too short to be timed.
 */
const LEAST_WHOLE = 1_000;
const SMALL_NODES = 100;

/**
 * Channels of each client in a small index. With two, a channel always has more subscribers than the one that joins or
 * leaves: the first subscriber of a channel makes its entry and the last one deletes it, which is different work.
 */
const SMALL_CHANNELS_PER_CLIENT = 2;
const SMALL_SUBSCRIBERS_PER_CHANNEL = 2;

/** Replaces the writes. */
const TAKE_ALL = { take: () => true };

/** Subscribers of each channel of an index, unless that would make fewer than twenty channels. */
const SUBSCRIBERS_PER_CHANNEL = 100;

/** Operations that one round times at least, in passes over the chosen clients or channels. */
const OPERATIONS_PER_ROUND = 10_000;

/**
 * The clients and channels of the operations. `near`: at every size, a hundred clients join and leave and twenty
 * channels are published to. That measures the algorithm in a CPU's caches. `far`: up to ten thousand of both all over
 * the index, like a node's clients. That adds memory that caches cannot hold. The receivers of the publications are the
 * channels' subscribers, so their number differs with the size: see {@link Delivered}.
 */
export type Reach = 'near' | 'far';

const REACHED: Readonly<Record<Reach, { readonly clients: number; readonly channels: number }>> = {
  near: { clients: 100, channels: 20 },
  far: { clients: OPERATIONS_PER_ROUND, channels: OPERATIONS_PER_ROUND },
};

/** The receivers of one publication to each of the channels. */
export interface Delivered {
  readonly channels: number;
  /** On average over the channels: the cost of one publication is shared by this many. */
  readonly subscribersPerChannel: number;
  /** Distinct clients, whose queues are written to. */
  readonly clients: number;
}

/** What the operations of an index cost at one size, in ns: medians over the rounds. */
export interface IndexCost {
  /** Subscriptions that the index holds during the measurement. */
  readonly subscriptions: number;
  readonly reach: Reach;
  /** One `add` of a new subscription. */
  readonly addNs: number;
  /** One `remove` of a subscription. */
  readonly removeNs: number;
  /** One `removeClient`, divided by the channels that each client holds. */
  readonly removeClientPerChannelNs: number;
  readonly channelsPerClient: number;
  /** Distinct clients that `add`, `remove` and `removeClient` are called for. */
  readonly clients: number;
  /** One publication to all subscribers of a channel, divided by their number. */
  readonly deliverNs: number;
  readonly delivered: Delivered;
}

/** An index and the queues of its clients. */
interface Node {
  readonly index: SubscriptionIndex<Client>;
  readonly queues: SendQueues;
}

interface Client {
  /** The index that it belongs to. */
  readonly index: SubscriptionIndex<Client>;
  readonly outbox: Outbox;
  readonly queueId: number;
  readonly group: number;
  /** The numbers of its channels. */
  readonly channels: readonly number[];
}

/**
 * Times the operations of a `SubscriptionIndex` that holds this many subscriptions.
 *
 * @param subscriptions a multiple of 10, and of 1,000 from there on.
 * @param rounds how often the round of each operation is timed.
 */
export async function measureIndexCost(
  subscriptions: number,
  reach: Reach,
  rounds: number,
): Promise<IndexCost> {
  const bed = createTestBed(subscriptions, reach);
  const add: number[] = [];
  const remove: number[] = [];
  const removeClient: number[] = [];
  const delivery: number[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const { addNs, removeNs } = timeAddAndRemove(bed);
    const removeClientNs = timeRemoveClient(bed);
    const deliverNs = timeDeliver(bed);
    await nextTurn();
    const isWarmUp = round < 0;
    if (isWarmUp) continue;
    add.push(addNs);
    remove.push(removeNs);
    removeClient.push(removeClientNs);
    delivery.push(deliverNs);
  }
  return {
    subscriptions,
    reach,
    addNs: median(add),
    removeNs: median(remove),
    removeClientPerChannelNs: median(removeClient),
    channelsPerClient: bed.channelsPerClient,
    clients: bed.clients.length,
    deliverNs: median(delivery),
    delivered: bed.delivered,
  };
}

interface TestBed {
  /** Channel names, the same in each node. */
  readonly channels: readonly string[];
  readonly channelsPerClient: number;
  /** The clients of the operations, in their order. */
  readonly clients: readonly Client[];
  /** Publications to the chosen channels, each with the node that it goes to. */
  readonly publications: readonly Publication[];
  readonly publicationNodes: readonly Node[];
  readonly delivered: Delivered;
}

/** The number of indexes of one size, and their parts. */
interface Layout {
  readonly nodes: number;
  readonly channelsPerClient: number;
  readonly channels: number;
}

function layoutOf(subscriptions: number): Layout {
  if (subscriptions < LEAST_WHOLE) {
    return {
      nodes: SMALL_NODES,
      channelsPerClient: SMALL_CHANNELS_PER_CLIENT,
      channels: subscriptions / SMALL_SUBSCRIBERS_PER_CHANNEL,
    };
  }
  const channels = Math.max(CHANNELS_PER_CLIENT * 2, subscriptions / SUBSCRIBERS_PER_CHANNEL);
  return { nodes: 1, channelsPerClient: CHANNELS_PER_CLIENT, channels };
}

function createTestBed(subscriptions: number, reach: Reach): TestBed {
  const layout = layoutOf(subscriptions);
  const channels = Array.from({ length: layout.channels }, (_, i) => `SYMBOL-${i}.trade`);
  const nodes = Array.from({ length: layout.nodes }, () => {
    return createNode(subscriptions, layout.channelsPerClient, channels);
  });
  const wanted = REACHED[reach];
  const clients = nodes.flatMap((node) => {
    const count = Math.min(wanted.clients / layout.nodes, node.clients.length);
    return scattered(node.clients, count);
  });
  const body = new Uint8Array(500);
  const publications = channels.map((channel) => ({ channel, offset: 0, body, publishedAt: 0 }));
  const channelCount = Math.min(wanted.channels, layout.nodes * layout.channels);
  const reached = scattered(publications, channelCount);
  const publicationNodes = reached.map((_, i) => nodes[i % nodes.length] as Node);
  return {
    channels,
    channelsPerClient: layout.channelsPerClient,
    clients,
    publications: reached,
    publicationNodes,
    delivered: whomTheyReach(reached, publicationNodes),
  };
}

function whomTheyReach(publications: readonly Publication[], nodes: readonly Node[]): Delivered {
  const audiences = publications.map(({ channel }, i) => (nodes[i] as Node).index.get(channel));
  const deliveries = audiences.flat();
  return {
    channels: publications.length,
    subscribersPerChannel: deliveries.length / publications.length,
    clients: new Set(deliveries).size,
  };
}

/** Makes a node with this many subscriptions, spread evenly over the channels. */
function createNode(
  subscriptions: number,
  channelsPerClient: number,
  channels: readonly string[],
): Node & { readonly clients: readonly Client[] } {
  const limits = {
    slots: 512,
    bytes: 1024 * 1024,
    publicationBytes: 65_792,
    controls: 1_024,
    controlBytes: 512 * 1024,
  };
  const policy = { graceMs: 2_000, maxLagMs: 30_000 };
  const index = new SubscriptionIndex<Client>();
  const log = new PublicationLog(0);
  const queues = new SendQueues(limits);
  const clients: Client[] = [];
  for (let i = 0; i < subscriptions / channelsPerClient; i += 1) {
    const held = Array.from(
      { length: channelsPerClient },
      (_, nth) => (i * channelsPerClient + nth) % channels.length,
    );
    const outbox = new Outbox(queues, policy, log);
    const client = { index, outbox, queueId: outbox.queueId, group: 0, channels: held };
    for (const channel of held) index.add(channels[channel] as string, client);
    clients.push(client);
  }
  return { index, queues, clients };
}

/** Adds to each client a channel that it does not have, and removes it again. */
function timeAddAndRemove({ channels, clients }: TestBed): {
  readonly addNs: number;
  readonly removeNs: number;
} {
  const names = clients.map((client) => {
    const next = ((client.channels.at(-1) as number) + 1) % channels.length;
    return channels[next] as string;
  });
  const adding = new Stopwatch();
  const removing = new Stopwatch();
  while (removing.operations < OPERATIONS_PER_ROUND) {
    adding.time(clients.length, () => {
      for (let i = 0; i < clients.length; i += 1) clients[i]!.index.add(names[i]!, clients[i]!);
    });
    removing.time(clients.length, () => {
      for (let i = 0; i < clients.length; i += 1) clients[i]!.index.remove(names[i]!, clients[i]!);
    });
  }
  return { addNs: adding.nsPerOperation, removeNs: removing.nsPerOperation };
}

/** Removes the clients and adds them again. */
function timeRemoveClient({ channels, channelsPerClient, clients }: TestBed): number {
  const removing = new Stopwatch();
  while (removing.operations < OPERATIONS_PER_ROUND) {
    removing.time(clients.length * channelsPerClient, () => {
      for (const client of clients) client.index.removeClient(client);
    });
    for (const client of clients) {
      for (const channel of client.channels) client.index.add(channels[channel]!, client);
    }
  }
  return removing.nsPerOperation;
}

/** Delivers to each of the channels once, and empties the queues. */
function timeDeliver({ publications, publicationNodes, delivered }: TestBed): number {
  const delivering = new Stopwatch();
  const round = createDeliveryRound<Client>();
  const deliveries = delivered.subscribersPerChannel * delivered.channels;
  while (delivering.operations < OPERATIONS_PER_ROUND) {
    delivering.time(deliveries, () => {
      for (let i = 0; i < publications.length; i += 1) {
        const { index, queues } = publicationNodes[i]!;
        deliver(publications[i]!, index.audience(publications[i]!.channel), queues, 0, round);
      }
    });
    for (const { outbox } of round.dirty) outbox.drainInto(TAKE_ALL);
    round.dirty.length = 0;
  }
  return delivering.nsPerOperation;
}

/**
 * Picks elements far from each other, distinct ones as long as there are enough: 7,919 is a prime that divides none of
 * the element counts in use.
 */
function scattered<T>(elements: readonly T[], count: number): readonly T[] {
  const STRIDE = 7_919;
  return Array.from({ length: count }, (_, i) => elements[(i * STRIDE) % elements.length] as T);
}

/** Adds up the time of operations that are too short to be timed one by one. */
class Stopwatch {
  operations = 0;
  #ms = 0;

  get nsPerOperation(): number {
    return (this.#ms * 1e6) / this.operations;
  }

  time(operations: number, run: () => void): void {
    const startedAt = performance.now();
    run();
    this.#ms += performance.now() - startedAt;
    this.operations += operations;
  }
}
