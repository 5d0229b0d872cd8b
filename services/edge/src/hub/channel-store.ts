import {
  type RedisCommands,
  RedisRefusedError,
  type RedisSubscriber,
  RedisUnavailableError,
  UnexpectedReplyError,
} from '@tradewind/bus';
import type { Archive, ArchiveFault } from './recovery.ts';

/** What Redis keeps of the channels, read and written over the node's two connections. */
export function createArchive(
  commands: Pick<RedisCommands, 'readHistory' | 'startEpoch' | 'serverIdentity'>,
  subscriber: Pick<RedisSubscriber, 'readPositions' | 'serverIdentity'>,
): Archive {
  return {
    readPositions: (channels) => subscriber.readPositions(channels),
    readHistory: (channel, from, limit, to) => commands.readHistory(channel, from, limit, to),
    async startEpoch(channel, expected) {
      const { changed, epoch } = await commands.startEpoch(channel, expected);
      if (changed || epoch !== '') return changed;
      // What was there to be replaced has vanished since.
      return (await commands.startEpoch(channel, undefined)).changed;
    },
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

function faultOf(error: unknown): ArchiveFault | undefined {
  if (error instanceof RedisUnavailableError) return 'passing';
  if (error instanceof UnexpectedReplyError) return 'lasting';
  if (!(error instanceof RedisRefusedError)) return undefined;
  return error.state.lasts;
}
