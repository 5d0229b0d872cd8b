import {
  type ClusterCommands,
  type ClusterSubscriber,
  type RedisCommands,
  RedisRefusedError,
  type RedisSubscriber,
  RedisUnavailableError,
  UnexpectedReplyError,
} from '@tradewind/bus';
import type { HistoryPage } from '../sequence/message.ts';
import type { ReadPositions } from './position-reader.ts';

/** How long Redis fails: for some time, or until somebody changes something. */
export type StoreFault = 'passing' | 'lasting';

/** What Redis keeps of the channels. All reads and writes except the positions go over the connection for commands. */
export interface ChannelStore {
  /** Reads over the connection that carries the subscriptions. */
  readonly readPositions: ReadPositions;
  /** Reads a page of at most `limit` entries with offsets from `from` to `to`, both inclusive; without `to` up to the latest. */
  readHistory(channel: string, from: number, limit: number, to?: number): Promise<HistoryPage>;
  /**
   * Starts a new epoch if the present one is `expected`, or if there is none and `expected` is undefined. Resolves with false if
   * there was another epoch already.
   */
  startEpoch(channel: string, expected: string | undefined): Promise<boolean>;
  /** Whether both connections lead to the same server. True if Redis does not tell. */
  linksAgree(): Promise<boolean>;
  /** The fault that a rejection of any of these stands for; undefined if it is a defect of the caller and not a fault of Redis. */
  faultOf(error: unknown): StoreFault | undefined;
}

/** The store over the node's two connections, which their owner must end. */
export function createChannelStore(
  commands: Pick<RedisCommands, 'readHistory' | 'startEpoch' | 'serverIdentity'>,
  subscriber: Pick<RedisSubscriber, 'readPositions' | 'serverIdentity'>,
): ChannelStore {
  return {
    readPositions: (channels) => subscriber.readPositions(channels),
    ...readsAndWrites(commands),
    async linksAgree() {
      const [one, other] = await Promise.all([
        subscriber.serverIdentity(),
        commands.serverIdentity(),
      ]);
      return one === other || one === undefined || other === undefined;
    },
    faultOf,
  };
}

/**
 * The store over a cluster, whose connections their owner must end. Both connections to a shard go to the address that its nodes
 * announce, and the shard's probe shows whether they lead to one server.
 */
export function createClusterStore(
  commands: Pick<ClusterCommands, 'readHistory' | 'startEpoch'>,
  subscriber: Pick<ClusterSubscriber, 'readPositions'>,
): ChannelStore {
  return {
    readPositions: (channels) => subscriber.readPositions(channels),
    ...readsAndWrites(commands),
    linksAgree: async () => true,
    faultOf,
  };
}

function readsAndWrites(
  commands: Pick<RedisCommands, 'readHistory' | 'startEpoch'>,
): Pick<ChannelStore, 'readHistory' | 'startEpoch'> {
  return {
    readHistory: (channel, from, limit, to) => commands.readHistory(channel, from, limit, to),
    async startEpoch(channel, expected) {
      const { changed, epoch } = await commands.startEpoch(channel, expected);
      if (changed || epoch !== '') return changed;
      // The epoch that had to be replaced has vanished since.
      return (await commands.startEpoch(channel, undefined)).changed;
    },
  };
}

function faultOf(error: unknown): StoreFault | undefined {
  if (error instanceof RedisUnavailableError) return 'passing';
  if (error instanceof UnexpectedReplyError) return 'lasting';
  if (!(error instanceof RedisRefusedError)) return undefined;
  return error.state.lasts;
}
