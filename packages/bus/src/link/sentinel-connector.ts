import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { AbstractConnector } from 'ioredis';
import { DISCONNECT_TIMEOUT_MS } from '../redis-limits.ts';
import type { Sentinels } from './sentinels.ts';

/**
 * What ioredis makes each connection to the master with, in place of its own connector: that one takes
 * the word of the first Sentinel that answers, which may be cut off together with a master of before.
 */
export function connectorTo(
  sentinels: Sentinels,
  tls: ConnectionOptions | undefined,
): new () => AbstractConnector {
  return class SentinelConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS);
    }

    override async connect(): Promise<Socket> {
      this.connecting = true;
      const { host, port } = await sentinels.choose();
      if (!this.connecting) throw new Error('the link was stopped');
      this.stream =
        tls === undefined ? connect({ host, port }) : connectTls({ host, port, ...tls });
      this.stream.once('error', (error) => {
        this.firstError = error;
      });
      return this.stream;
    }

    override disconnect(): void {
      super.disconnect();
      sentinels.end();
    }
  };
}
