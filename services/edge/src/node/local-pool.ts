import {
  createMetrics,
  type Logger,
  type MetricObjects,
  type Readiness,
  type TlsCredentials,
} from '@tradewind/runtime';
import type { IdentityUpdate } from '../auth/identity-update.ts';
import type { EdgeConfig } from '../config/edge-config.ts';
import type { Hub } from '../hub/hub.ts';
import type { ClientReading } from '../telemetry/client-reading.ts';
import type { FanOutDescription } from '../telemetry/debug-index.ts';
import type { SessionList } from '../telemetry/session-list.ts';
import type { ClientEnquiry, ClientEnquiryAnswer } from '../telemetry/watched-clients.ts';
import { ClientListener } from './client-listener.ts';
import { ConnectionCount, createConnectionMemory } from './connection-count.ts';
import type { NodeIdentity } from './identity.ts';

/** All fan-out workers of a node, as the main thread sees them. */
export interface FanOutPool {
  /** Connections of the whole node. */
  readonly connections: number;
  /**
   * Accepts clients from now on, and returns the port.
   *
   * @throws Error with a message that names the setting to change.
   */
  listen(): Promise<number>;
  setReadiness(readiness: Readiness): void;
  /** Passes new keys or revocations to the verifiers of all workers. */
  updateIdentity(update: IdentityUpdate): void;
  /** Uses another certificate for further connections. */
  setTls(credentials: TlsCredentials): void;
  /** Refuses new clients and sends all clients away within `windowMs`, or at once when `hurry` aborts. */
  drain(windowMs: number, hurry: AbortSignal): Promise<void>;
  /** Sends `count` clients away within `windowMs`, and continues to admit others. Returns at once. */
  shed(count: number, windowMs: number): void;
  metrics(): Promise<readonly MetricObjects[]>;
  describe(): Promise<readonly FanOutDescription[]>;
  /** The sessions of a subject, on each worker that answers in time. */
  sessionsOf(subject: string): Promise<readonly SessionList[]>;
  /** The answer of each worker that answers in time, for pages of a console. */
  askClients(enquiry: ClientEnquiry): Promise<readonly ClientEnquiryAnswer[]>;
  /** The figures of the clients that the console shows; of a worker thread, those that it reported last. */
  read(): ClientReading;
  stop(): Promise<void>;
}

/** A pool of one worker, in the thread of the hub. */
export function createLocalPool(
  config: EdgeConfig,
  logger: Logger,
  hub: Hub,
  identity?: NodeIdentity,
  tls?: TlsCredentials,
): FanOutPool {
  const connectionCount = new ConnectionCount(createConnectionMemory(1), 0);
  const clientListener = new ClientListener({
    config,
    logger,
    metrics: createMetrics({ withDefaults: false }),
    connectionCount,
    identity,
    tls,
    connect: (listener) => hub.connect(listener),
  });
  return {
    get connections() {
      return connectionCount.total;
    },
    listen: () => clientListener.listen(config.host, config.port, false),
    setReadiness: (readiness) => clientListener.setReadiness(readiness),
    updateIdentity: (update) => clientListener.updateIdentity(update),
    setTls: (credentials) => clientListener.setTls(credentials),
    drain: (windowMs, hurry) => clientListener.drain(windowMs, hurry),
    shed: (count, windowMs) => void clientListener.shed(count, windowMs),
    metrics: async () => [await clientListener.metrics()],
    describe: async () => [clientListener.describe()],
    sessionsOf: async (subject) => [await clientListener.sessionsOf(subject)],
    askClients: async (enquiry) => [await clientListener.answer(enquiry)],
    read: () => clientListener.read(),
    stop: () => clientListener.stop(),
  };
}
