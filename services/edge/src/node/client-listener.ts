import { ERROR_CODES, WEBSOCKET_PATH } from '@tradewind/protocol';
import {
  createHttpServer,
  DEFAULT_HTTP_LIMITS,
  HttpError,
  type HttpServer,
  healthRoutes,
  type Logger,
  type MetricObjects,
  type Metrics,
  type Readiness,
  type Route,
  type TlsCredentials,
} from '@tradewind/runtime';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import { FanOut } from '../clients/fan-out.ts';
import {
  DRAIN_RESERVE_SECONDS,
  type EdgeConfig,
  unidentifiedOfWorker,
} from '../config/edge-config.ts';
import type { Feed, FeedListener } from '../feed.ts';
import { LimitGuard } from '../limits.ts';
import { OwnerTable } from '../owners/owner-table.ts';
import { TrustedProxies } from '../owners/trusted-proxies.ts';
import { createFanOutEvents } from '../telemetry/client-events.ts';
import { type ClientReading, readClients } from '../telemetry/client-reading.ts';
import { describeFanOut, type FanOutDescription } from '../telemetry/debug-index.ts';
import { EndedClients } from '../telemetry/ended-clients.ts';
import { registerFanOutGauges } from '../telemetry/gauges.ts';
import { createClientTally, withClientTally } from '../telemetry/node-tally.ts';
import { listSessions, type SessionList } from '../telemetry/session-list.ts';
import {
  answerClientEnquiry,
  type ClientEnquiry,
  type ClientEnquiryAnswer,
} from '../telemetry/watched-clients.ts';
import type { ConnectionCount } from './connection-count.ts';
import { sendAway, waitUntilGone } from './drain.ts';
import { frontPage } from './front-page.ts';
import type { NodeIdentity } from './identity.ts';
import { addressLimits } from './owner-limits.ts';
import { PeerGate } from './peer-gate.ts';
import { Shedder } from './shed.ts';
import { acceptUpgrades, VERSION_HEADERS } from './upgrade.ts';
import { fanOutSettings } from './worker-settings.ts';

/** The least number of connections other than clients that each worker may hold, however many workers share the node's limit. */
const LEAST_PLAIN_CONNECTIONS = 4;

/** The part of `DRAIN_RESERVE_SECONDS` that the last close handshakes may take, in ms: half of it. */
const CLOSE_HANDSHAKES_MS = DRAIN_RESERVE_SECONDS * 500;

/** The answer to a plain request for the path of the WebSockets. */
const UPGRADE_REQUIRED: Route = {
  method: 'GET',
  path: WEBSOCKET_PATH,
  handler(_request, response) {
    const { status, retryable, meaning } = ERROR_CODES.upgrade_required;
    const details = { status, code: 'upgrade_required', message: meaning, retryable };
    throw new HttpError(details, {
      ...VERSION_HEADERS,
      // Our `connection` header replaces Node's, so it must also say `close` if the peer asked for that.
      connection: response.shouldKeepAlive ? 'Upgrade' : 'close, Upgrade',
    });
  },
};

/** What a client listener is made of. */
export interface ClientListenerParts {
  readonly config: EdgeConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly connectionCount: ConnectionCount;
  /** Verifies who clients are. Undefined if the node does not ask for tokens. */
  readonly identity?: NodeIdentity | undefined;
  /** The certificate of the port. Undefined for a port without TLS. */
  readonly tls?: TlsCredentials | undefined;
  /** Connects the worker to the hub. The feed calls `listener`. */
  readonly connect: (listener: FeedListener) => Feed;
}

/**
 * A fan-out worker and the TCP port that its clients connect to. It runs in the hub's thread or in a thread of its own.
 */
export class ClientListener {
  readonly #parts: ClientListenerParts;
  readonly #fanOut: FanOut;
  readonly #front: HttpServer;
  readonly #shedder: Shedder;
  readonly #tally = createClientTally();
  readonly #ended = new EndedClients();
  #readiness: Readiness = { ready: false, degraded: true, reasons: ['starting'] };
  #refusing = false;

  constructor(parts: ClientListenerParts) {
    const { config, logger, metrics, connectionCount, identity, tls, connect } = parts;
    const events = withClientTally(createFanOutEvents(logger, metrics), this.#tally);
    this.#parts = parts;
    const ended = this.#ended;
    const settings = fanOutSettings(config, () => connectionCount.total, identity?.verifier);
    const gate = new PeerGate({
      proxies: new TrustedProxies(config.trustedProxies ?? []),
      readsPreface: config.proxyProtocol === 'v1',
      addresses:
        config.trustedProxies === undefined ? undefined : new OwnerTable(addressLimits(config)),
      guard: new LimitGuard(config.enforcesRates, events.limited),
      mostUnread: plainConnectionsOfWorker(config),
      onPrefaceFault: events.proxyHeaderRefused,
    });
    this.#fanOut = new FanOut(
      settings,
      {
        ...events,
        clientOpened(session) {
          connectionCount.increment();
          events.clientOpened(session);
        },
        clientClosed(reason, session) {
          connectionCount.decrement();
          gate.releaseClient(session.addressOwner);
          ended.add(reason, session);
          events.clientClosed(reason, session);
        },
      },
      connect,
    );
    this.#shedder = new Shedder(this.#fanOut.connections);
    registerFanOutGauges(metrics, this.#fanOut);
    this.#front = createHttpServer({
      logger,
      routes: [
        ...healthRoutes({ readiness: () => this.#readiness }),
        UPGRADE_REQUIRED,
        frontPage(config),
      ],
      limits: {
        ...DEFAULT_HTTP_LIMITS,
        keepAliveTimeoutMs: config.httpKeepAliveMs,
        maxPlainConnections: plainConnectionsOfWorker(config),
      },
      connectionClosed: events.httpConnectionClosed,
      gate,
      tls,
    });
    const maxUnidentified = unidentifiedOfWorker(config);
    acceptUpgrades(this.#front.server, config, settings.formats, {
      addressOf: (request) => gate.addressOf(request),
      excess: (request, address) => gate.excess(request, address),
      refusal: () => {
        if (this.#refusing) return 'draining';
        if (connectionCount.total >= config.maxConnections) return 'node_full';
        if (this.#fanOut.unidentified < maxUnidentified) return undefined;
        events.limited('unidentified', true);
        return 'rate_limited';
      },
      onAdmitted: (webSocket, socket, handshake) => {
        const addressOwner = gate.countClient(socket, handshake.address);
        this.#front.upgraded(socket);
        this.#fanOut.open(webSocket, socket, { ...handshake, addressOwner });
      },
      onRejected: events.handshakeRejected,
    });
  }

  /** Accepts from now on; see `HttpServer.listen`. */
  listen(host: string, port: number, reusePort: boolean): Promise<number> {
    return this.#front.listen(host, port, { reusePort });
  }

  /** Sets what `/readyz` answers. */
  setReadiness(readiness: Readiness): void {
    this.#readiness = readiness;
  }

  /** Takes new keys or revocations from the main thread, and closes the connections whose tokens are revoked. */
  updateIdentity(update: IdentityUpdate): void {
    const { identity } = this.#parts;
    identity?.update(update);
    if (update.kind !== 'revocations' || identity === undefined) return;
    void this.#fanOut.endRevoked((current) => identity.isRevoked(current));
  }

  /** Uses another certificate for further connections. */
  setTls(credentials: TlsCredentials): void {
    this.#front.setTls(credentials);
  }

  /** Refuses new clients and sends all clients away within `windowMs`, or at once when `hurry` aborts. */
  async drain(windowMs: number, hurry: AbortSignal): Promise<void> {
    this.#refusing = true;
    const { connections } = this.#fanOut;
    const lastMoment = performance.now() + windowMs + CLOSE_HANDSHAKES_MS;
    await sendAway(connections, windowMs, 'draining', hurry);
    const leftMs = lastMoment - performance.now();
    await waitUntilGone(connections, hurry.aborted ? CLOSE_HANDSHAKES_MS : leftMs);
  }

  /** Sends `count` clients away within `windowMs`, and continues to admit others. */
  async shed(count: number, windowMs: number): Promise<void> {
    await this.#shedder.shed(count, windowMs);
  }

  /** The metrics of this worker. */
  metrics(): Promise<MetricObjects> {
    return this.#parts.metrics.objects();
  }

  /** The figures of the clients that the console shows. */
  read(): ClientReading {
    return readClients(this.#fanOut, this.#tally);
  }

  /** The worker's part of `/debug/index`. */
  describe(): FanOutDescription {
    return describeFanOut(this.#fanOut);
  }

  /** Answers what pages of a console ask about the clients. */
  answer(enquiry: ClientEnquiry): Promise<ClientEnquiryAnswer> {
    return answerClientEnquiry(this.#fanOut, this.#ended, enquiry);
  }

  /** The sessions of a subject. */
  sessionsOf(subject: string): Promise<SessionList> {
    return listSessions(this.#fanOut, subject);
  }

  /** Stops the worker and closes its port. Terminates every connection that is left. */
  async stop(): Promise<void> {
    this.#shedder.stop();
    await this.#fanOut.stop();
    await this.#front.close(0);
  }
}

/** The share of one worker, since the kernel spreads connections over the workers. */
function plainConnectionsOfWorker({ httpMaxConnections, workers }: EdgeConfig): number {
  return Math.max(LEAST_PLAIN_CONNECTIONS, Math.ceil(httpMaxConnections / workers));
}
