import { type RedisCommands, RedisRefusedError } from '@tradewind/bus';
import type { ReadPositions } from './position-reads.ts';
import type { Archive } from './recovery.ts';

/** Redis' code for what its ACL does not allow. */
const NO_PERMISSION = 'NOPERM';

/**
 * What Redis keeps of the channels.
 *
 * @param readPositions reads over the connection that carries the subscriptions.
 */
export function createArchive(
  commands: Pick<RedisCommands, 'readHistory' | 'startEpoch'>,
  readPositions: ReadPositions,
): Archive {
  return {
    readPositions,
    readHistory: (channel, from, limit) => commands.readHistory(channel, from, limit),
    async startEpoch(channel, expected) {
      const { epoch, offset } = await commands.startEpoch(channel, expected);
      if (epoch !== '') return { epoch, offset };
      // What was there to be replaced has vanished since.
      return await commands.startEpoch(channel, undefined);
    },
    isForbidden: (error) => error instanceof RedisRefusedError && error.code === NO_PERMISSION,
  };
}
