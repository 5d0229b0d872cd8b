import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type CloseReason, type ErrorCode, WEBSOCKET_PATH } from '@tradewind/protocol';
import { rightsTo } from '../../auth/rights.ts';
import type { Limited, LimitName } from '../../limits.ts';
import { acceptUpgrades } from '../../node/upgrade.ts';
import { JSON_FRAMES } from '../../outbound/json-frames.ts';
import { FanOut } from '../fan-out.ts';
import type { FanOutEvents } from '../fan-out-events.ts';
import type { FanOutSettings } from '../fan-out-settings.ts';
import { FakeUpstream } from './fake-upstream.ts';
import { RawClient } from './raw-client.ts';
import { LIMITS } from './test-connection.ts';

const MAX_MESSAGE_BYTES = 32 * 1024;

/** Records what a fan-out worker reports. */
export class RecordedEvents implements FanOutEvents {
  opened = 0;
  readonly closed: CloseReason[] = [];
  readonly rejected: ErrorCode[] = [];
  readonly lagsMs: number[] = [];
  /** The limits that were exceeded, and whether the excess was refused. */
  readonly beyond: (readonly [LimitName, boolean])[] = [];

  clientOpened(): void {
    this.opened += 1;
  }

  clientClosed(reason: CloseReason): void {
    this.closed.push(reason);
  }

  /** Why tokens were refused. */
  readonly causes: string[] = [];
  identifications = 0;

  identified(): void {
    this.identifications += 1;
  }

  readonly tokenRefused = ({ cause }: { readonly cause: string }): void => {
    this.causes.push(cause);
  };

  /** Sessions whose tokens were revoked. */
  readonly revoked: string[] = [];

  sessionRevoked({ id }: { readonly id: string }): void {
    this.revoked.push(id);
  }

  readonly requestRejected = (code: ErrorCode): void => {
    this.rejected.push(code);
  };

  readonly limited: Limited = (limit, isEnforced) => {
    this.beyond.push([limit, isEnforced]);
  };

  recovered(): void {}

  gapTold(): void {}

  resyncTold(): void {}

  delivered(lagMs: number): void {
    this.lagsMs.push(lagMs);
  }
}

/** A fan-out worker behind a real HTTP server on a free port, with a hub that the test plays. */
export class FanOutServer implements AsyncDisposable {
  readonly upstream = new FakeUpstream();
  readonly events = new RecordedEvents();
  readonly fanOut: FanOut;
  /** The code that refuses handshakes; undefined admits them. */
  refusal: ErrorCode | undefined;
  /** The codes that handshakes were refused with. */
  readonly handshakesRefused: ErrorCode[] = [];
  /** The server's ends of all connections so far. */
  readonly sockets: Socket[] = [];
  readonly #server = createServer((_request, response) => response.writeHead(404).end());
  readonly #clients: RawClient[] = [];

  private constructor(settings: FanOutSettings, origins: readonly string[]) {
    const auth = settings.tokens === undefined ? 'none' : 'jwt';
    this.fanOut = new FanOut(settings, this.events, this.upstream.connect);
    const policy = { maxMessageBytes: MAX_MESSAGE_BYTES, origins, auth } as const;
    acceptUpgrades(this.#server, policy, settings.formats, {
      addressOf: ({ socket }) => socket.remoteAddress ?? '',
      excess: () => undefined,
      refusal: () => this.refusal,
      onAdmitted: (webSocket, socket, handshake) => {
        this.sockets.push(socket);
        this.fanOut.open(webSocket, socket, handshake);
      },
      onRejected: (code) => this.handshakesRefused.push(code),
    });
  }

  /** Starts as a node that reaches Redis. */
  static async start(
    changes: Partial<FanOutSettings> = {},
    origins: readonly string[] = [],
  ): Promise<FanOutServer> {
    const server = new FanOutServer({ ...DEFAULTS, ...changes }, origins);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    server.upstream.listener.onRestored();
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}${WEBSOCKET_PATH}`;
  }

  /** A client that has connected and holds these channels. */
  async client(channels: readonly string[] = []): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    this.#clients.push(client);
    if (channels.length === 0) return client;
    const subscribed = client.subscribe(channels);
    const acknowledging = setInterval(() => this.upstream.acknowledge(), 1);
    await subscribed.finally(() => clearInterval(acknowledging));
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.fanOut.stop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const DEFAULTS: FanOutSettings = {
  outbox: LIMITS,
  slow: { graceMs: 60_000, maxLagMs: 60_000 },
  logBytes: 0,
  subscriptions: {
    maxChannelsPerClient: 512,
    maxHistory: 1_000,
    replayRate: { perSecond: 1, burst: 1_000_000_000 },
  },
  rights: rightsTo(() => true),
  subjectLimits: { connections: 1_000, plain: 0, rates: {} },
  liveness: { pingAfterBeats: 1_200, deadAfterBeats: 1_200 },
  enforcesRates: true,
  maxErrors: 20,
  requestRate: { perSecond: 1_000, burst: 1_000 },
  subscribeRate: { perSecond: 1_000, burst: 1_000 },
  silentSeconds: 60,
  flushMs: 0,
  roundSpacing: 2,
  formats: [JSON_FRAMES],
  writes: 'stream',
  isWindowed: false,
  nodeConnections: () => 1,
  welcome: {
    node: 'edge-under-test',
    auth: 'none',
    heartbeat: { clientPingMs: 20_000, timeoutMs: 10_000 },
    limits: {
      maxMessageBytes: MAX_MESSAGE_BYTES,
      maxChannels: 512,
      maxChannelsPerRequest: 128,
      maxHistory: 1_000,
      maxPublicationBytes: 64 * 1024,
    },
  },
};
