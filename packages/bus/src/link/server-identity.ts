import { RedisRefusedError } from '../redis-errors.ts';

/**
 * Which server's data this is, from its INFO: `<run_id>:<master_replid>`. Another run has another
 * first part, a promoted replica another second one. Undefined when INFO shows neither.
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

/** Whether Redis does not let us see its INFO: the ACL forbids it, or the command was renamed away. */
export function isInfoHidden(error: unknown): boolean {
  return error instanceof RedisRefusedError && (error.code === 'NOPERM' || error.code === 'ERR');
}
