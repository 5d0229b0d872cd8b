import { RedisRefusedError } from '../redis-errors.ts';

/**
 * Identifies a server and its data by its INFO: `<run_id>:<master_replid>`. A restart changes the first part, a
 * promotion of a replica the second. Undefined if INFO shows neither.
 */
export function readServerIdentity(server: string, replication: string): string | undefined {
  const run = field(server, 'run_id');
  const replica = field(replication, 'master_replid');
  return run === '' && replica === '' ? undefined : `${run}:${replica}`;
}

function field(info: string, name: string): string {
  const line = info.split('\r\n').find((text) => text.startsWith(`${name}:`));
  return line?.slice(name.length + 1) ?? '';
}

/** Whether Redis hides its INFO: the ACL forbids it, or the command was renamed. */
export function isInfoHidden(error: unknown): boolean {
  return error instanceof RedisRefusedError && (error.code === 'NOPERM' || error.code === 'ERR');
}
