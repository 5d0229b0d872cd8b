import type { HostAndPort } from '../redis-settings.ts';

/** Redis says that another node must be asked. */
export interface Redirect {
  /** `moved`: from now on. `ask`: this once, because the slot is on its way. */
  readonly kind: 'moved' | 'ask';
  readonly slot: number;
  /** The host is empty if it is that of the node that answered. */
  readonly to: HostAndPort;
}

const REDIRECT = /^(MOVED|ASK) (\d{1,5}) ([^\s]*):(\d{1,5})$/;

/** Reads an error reply; undefined if it does not send to another node. */
export function readRedirect(reply: string): Redirect | undefined {
  const [, kind, slot, host = '', port] = REDIRECT.exec(reply) ?? [];
  if (kind === undefined) return undefined;
  const to = { host: host === '?' ? '' : host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  return { kind: kind === 'MOVED' ? 'moved' : 'ask', slot: Number(slot), to };
}
