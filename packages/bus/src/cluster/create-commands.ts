import type { RedisCommandsEvents } from '../commands/command-link.ts';
import type { Commands } from '../commands/commands.ts';
import { RedisCommands } from '../commands/redis-commands.ts';
import type { RedisSettings } from '../redis-settings.ts';
import { ClusterCommands } from './cluster-commands.ts';

/**
 * The commands to what the settings name: one Redis, or a cluster. The caller owns them.
 *
 * @throws {TypeError} if the settings are invalid; see `checkRedisUrl`.
 */
export function createCommands(settings: RedisSettings, events: RedisCommandsEvents): Commands {
  return settings.mode === 'cluster'
    ? new ClusterCommands(settings, events)
    : new RedisCommands(settings, events);
}
