import { EventEmitter } from 'node:events';
import {
  countOf,
  type Loss,
  Outbox,
  type OutboxLimits,
  PublicationLog,
  SendQueues,
  type SlowPolicy,
} from '@tradewind/fanout';
import type { CloseReason, ServerMessage } from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import { WebSocket } from 'ws';
import { type Rights, rightsTo } from '../../auth/rights.ts';
import { FrameWriter } from '../../outbound/frame-writer.ts';
import { JSON_FRAMES } from '../../outbound/json-frames.ts';
import { NO_DESCRIPTOR } from '../../outbound/socket-send.ts';
import { FakeSink } from '../../outbound/testing/fake-sink.ts';
import type { Owner } from '../../owners/owner.ts';
import { Connection, type ConnectionOwner } from '../connection/connection.ts';
import { Session } from '../session/session.ts';
import { AttendedTime, BEATS_PER_SECOND } from '../time/attended-time.ts';

export const LIMITS: OutboxLimits = {
  slots: 512,
  bytes: 64 * 1024 * 1024,
  publicationBytes: 64 * 1024,
  controls: 1_024,
  controlBytes: 512 * 1024,
};

/** The part of a `ws` connection that ours uses, played by a test. */
export class FakeWebSocket extends EventEmitter {
  readyState: number = WebSocket.OPEN;
  readonly closes: { readonly code: number; readonly reason: string }[] = [];
  /** When it was first closed, in ms on the monotonic clock. */
  closedAt: number | undefined;
  pings = 0;
  /** The payloads of those pings that had one. */
  readonly marks: Buffer[] = [];
  terminated = false;
  paused = false;

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
    this.closedAt ??= performance.now();
    this.readyState = WebSocket.CLOSING;
  }

  pause(): void {
    this.paused = true;
  }

  ping(payload?: Buffer): void {
    this.pings += 1;
    if (payload !== undefined) this.marks.push(payload);
  }

  terminate(): void {
    this.terminated = true;
    this.readyState = WebSocket.CLOSING;
  }

  /** Ends the connection as `ws` reports it. */
  end(code: number): void {
    this.readyState = WebSocket.CLOSED;
    this.emit('close', code, Buffer.alloc(0));
  }
}

/** Records what the owner is told, in order. Flushes at once. */
export class RecordingOwner implements ConnectionOwner {
  readonly told: string[] = [];
  readonly losses: ReadonlyMap<string, number | undefined>[] = [];
  readonly reasons: CloseReason[] = [];

  onFlushNeeded(connection: Connection): void {
    connection.flush();
  }

  onBlocked(): void {
    this.told.push('blocked');
  }

  onCaughtUp(): void {}

  onLosses(_connection: Connection, losses: readonly Loss[]): void {
    this.losses.push(new Map(losses.map(({ channel, missing }) => [channel, countOf(missing)])));
  }

  onMessage(): void {
    this.told.push('received');
  }

  onControlFrame(): void {
    this.told.push('received control frame');
  }

  onLeaving(): void {
    this.told.push('leaving');
  }

  onClosed(_connection: Connection, reason: CloseReason): void {
    this.told.push('closed');
    this.reasons.push(reason);
  }
}

/** A real connection between a fake `ws` and a fake socket. */
export interface TestConnection {
  readonly connection: Connection;
  readonly webSocket: FakeWebSocket;
  readonly sink: FakeSink;
  /** Advances the worker's time by a second, and tends the connection. */
  passSecond(): void;
  /** The control frames that were written so far. */
  sent(): ServerMessage[];
}

export interface TestConnectionOptions {
  readonly owner: ConnectionOwner;
  readonly limits: OutboxLimits;
  readonly slow: SlowPolicy;
  /** Must hold each publication before it is offered. */
  readonly log: PublicationLog;
  readonly requestRate: Rate;
  readonly subscribeRate: Rate;
  readonly rights: Rights;
  /** Longer than any test lasts by default. */
  readonly silentSeconds: number;
  readonly isWindowed: boolean;
  /** False by default. */
  readonly mustIdentify: boolean;
  readonly addressOwner: Owner | undefined;
}

const PLENTY: Rate = { perSecond: 1, burst: 1_000_000 };

export function createTestConnection(changes: Partial<TestConnectionOptions> = {}): TestConnection {
  const options: TestConnectionOptions = {
    owner: new RecordingOwner(),
    limits: LIMITS,
    slow: { graceMs: 60_000, maxLagMs: 60_000 },
    log: new PublicationLog(0),
    requestRate: PLENTY,
    subscribeRate: PLENTY,
    rights: rightsTo(() => true),
    silentSeconds: 1_000_000,
    isWindowed: false,
    mustIdentify: false,
    addressOwner: undefined,
    ...changes,
  };
  const webSocket = new FakeWebSocket();
  const sink = new FakeSink();
  const time = new AttendedTime(0);
  const session = new Session({
    id: 'session',
    addressOwner: options.addressOwner,
    rights: options.rights,
    mustIdentify: options.mustIdentify,
    limits: {
      requestRate: options.requestRate,
      subscribeRate: options.subscribeRate,
      silentSeconds: options.silentSeconds,
      liveness: { pingAfterBeats: 60, deadAfterBeats: 40 },
    },
    time,
    phase: 0,
    now: 0,
  });
  const connection = new Connection({
    session,
    webSocket: webSocket as unknown as WebSocket,
    socket: sink,
    descriptor: NO_DESCRIPTOR,
    outbox: new Outbox(new SendQueues(options.limits), options.slow, options.log),
    group: 0,
    time,
    writer: new FrameWriter(JSON_FRAMES),
    isWindowed: options.isWindowed,
    owner: options.owner,
  });
  return {
    connection,
    webSocket,
    sink,
    passSecond() {
      time.beat += BEATS_PER_SECOND;
      connection.tend(0);
    },
    sent: () =>
      sink.frames
        .map(({ payload }) => JSON.parse(payload.toString()) as ServerMessage)
        .filter((message) => 'type' in message),
  };
}
