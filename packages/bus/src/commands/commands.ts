import type { RedisCommands } from './redis-commands.ts';

/** The commands that a service sends, whether to one Redis or to a cluster. */
export type Commands = Pick<
  RedisCommands,
  | 'available'
  | 'start'
  | 'stop'
  | 'publish'
  | 'publishSequenced'
  | 'readHistory'
  | 'startEpoch'
  | 'readRevocations'
  | 'revoke'
  | 'writeNodeState'
  | 'readNodeStates'
  | 'readNodeEvents'
  | 'writeConsoleWatch'
  | 'readConsoleWatch'
  | 'writeNodeAnswer'
  | 'readNodeAnswers'
> & {
  /** Whether the link to the master of a slot is up. Only a cluster has it. */
  isSlotServed?(slot: number): boolean;
  /** The shard that has a slot, by a name; undefined if there is only one. Only a cluster has it. */
  shardOf?(slot: number): string | undefined;
};
