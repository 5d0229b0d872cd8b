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
import { median } from './ratio.ts';

/** Channels that each client of the index holds. */
const CHANNELS_PER_CLIENT = 10;

/** Stands for the writes. */
const TAKE_ALL = { take: () => true };

/** Subscribers that each channel of the index has. */
const SUBSCRIBERS_PER_CHANNEL = 100;

/** Operations that one round times at least, in passes over the chosen clients or channels. */
const OPERATIONS_PER_ROUND = 10_000;

/**
 * Which clients and channels the operations reach. `near`: the same hundred and twenty at every
 * size, which a CPU's caches hold: what the algorithm costs. `far`: up to ten thousand all over the
 * index, as a node's clients come and go: that, and the memory that caches cannot hold.
 */
export type Reach = 'near' | 'far';

const REACHED: Readonly<Record<Reach, { readonly clients: number; readonly channels: number }>> = {
  near: { clients: 100, channels: 20 },
  far: { clients: OPERATIONS_PER_ROUND, channels: OPERATIONS_PER_ROUND },
};

/** What the operations of an index cost at one size, in ns: medians over the rounds. */
export interface IndexCost {
  /** Subscriptions that it holds meanwhile. */
  readonly subscriptions: number;
  readonly reach: Reach;
  /** One `add` of a subscription that is new. */
  readonly addNs: number;
  /** One `remove` of a subscription. */
  readonly removeNs: number;
  /** One `removeClient`, which holds ten channels, divided by them. */
  readonly removeClientPerChannelNs: number;
  /** One publication to all subscribers of a channel, divided by them. */
  readonly deliverNs: number;
}

interface Client {
  readonly outbox: Outbox;
  readonly place: number;
  /** The numbers of the channels that it holds. */
  readonly channels: readonly number[];
}

/**
 * Times the operations of a `SubscriptionIndex` that holds this many subscriptions.
 *
 * @param subscriptions at least 1,000.
 * @param rounds how often each operation's round is timed.
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
    deliverNs: median(delivery),
  };
}

interface TestBed {
  readonly index: SubscriptionIndex<Client>;
  readonly channels: readonly string[];
  /** The clients to reach, in the order of the operations. */
  readonly clients: readonly Client[];
  readonly queues: SendQueues;
  /** Publications to the channels to reach. */
  readonly publications: readonly Publication[];
}

function createTestBed(subscriptions: number, reach: Reach): TestBed {
  const limits = {
    slots: 512,
    bytes: 1024 * 1024,
    publicationBytes: 65_792,
    controls: 1_024,
    controlBytes: 512 * 1024,
  };
  const policy = { graceMs: 2_000, maxLagMs: 30_000 };
  const channelCount = Math.max(CHANNELS_PER_CLIENT * 2, subscriptions / SUBSCRIBERS_PER_CHANNEL);
  const channels = Array.from({ length: channelCount }, (_, i) => `SYMBOL-${i}.trade`);
  const tail = new Uint8Array(500);
  const publications = channels.map((channel) => ({ channel, offset: 0, tail, publishedAt: 0 }));
  const index = new SubscriptionIndex<Client>();
  const log = new PublicationLog(0);
  const queues = new SendQueues(limits);
  const clients: Client[] = [];
  for (let i = 0; i < subscriptions / CHANNELS_PER_CLIENT; i += 1) {
    const held = Array.from(
      { length: CHANNELS_PER_CLIENT },
      (_, nth) => (i * CHANNELS_PER_CLIENT + nth) % channelCount,
    );
    const outbox = new Outbox(queues, policy, log);
    const client = { outbox, place: outbox.place, channels: held };
    for (const channel of held) index.add(channels[channel] as string, client);
    clients.push(client);
  }
  const reached = REACHED[reach];
  return {
    index,
    queues,
    channels,
    clients: scattered(clients, Math.min(reached.clients, clients.length)),
    publications: scattered(publications, Math.min(reached.channels, channelCount)),
  };
}

/** Adds to each client a channel that it does not hold, and removes it again. */
function timeAddAndRemove({ index, channels, clients }: TestBed): {
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
      for (let i = 0; i < clients.length; i += 1) index.add(names[i]!, clients[i]!);
    });
    removing.time(clients.length, () => {
      for (let i = 0; i < clients.length; i += 1) index.remove(names[i]!, clients[i]!);
    });
  }
  return { addNs: adding.nsPerOperation, removeNs: removing.nsPerOperation };
}

/** Removes the clients and lets them come back. */
function timeRemoveClient({ index, channels, clients }: TestBed): number {
  const removing = new Stopwatch();
  while (removing.operations < OPERATIONS_PER_ROUND) {
    removing.time(clients.length * CHANNELS_PER_CLIENT, () => {
      for (const client of clients) index.removeClient(client);
    });
    for (const client of clients) {
      for (const channel of client.channels) index.add(channels[channel]!, client);
    }
  }
  return removing.nsPerOperation;
}

/** Delivers to each of the channels once, and forgets what waits. */
function timeDeliver({ index, queues, publications }: TestBed): number {
  const delivering = new Stopwatch();
  const round = createDeliveryRound<Client>();
  const deliveries = publications.reduce((sum, { channel }) => sum + index.count(channel), 0);
  while (delivering.operations < OPERATIONS_PER_ROUND) {
    delivering.time(deliveries, () => {
      for (const publication of publications) {
        deliver(publication, index.audience(publication.channel), queues, 0, round);
      }
    });
    for (const { outbox } of round.dirty) outbox.drainInto(TAKE_ALL);
    round.dirty.length = 0;
  }
  return delivering.nsPerOperation;
}

/** Different elements, far from each other: 7,919 is a prime that no size in use is a multiple of. */
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
