import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { AbstractConnector } from 'ioredis';
import { DISCONNECT_TIMEOUT_MS } from '../redis-limits.ts';
import type { Sentinels } from './sentinels.ts';

/**
 * Makes the class by which ioredis connects to the master. ioredis' own connector believes the first Sentinel that
 * answers, and that one may be cut off together with the former master.
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
