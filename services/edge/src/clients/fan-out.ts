import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  countOf,
  createDeliveryRound,
  deliver,
  type Loss,
  missingPublications,
  Outbox,
  type OutboxLimits,
  type Publication,
  PublicationLog,
  SendQueues,
  type SlowPolicy,
} from '@tradewind/fanout';
import type { CloseReason, ErrorCode, Gap, GapReason, Welcome } from '@tradewind/protocol';
import type { WebSocket } from 'ws';
import type {
  Acknowledgement,
  Feed,
  FeedListener,
  GapNotice,
  HistoryAnswer,
  ResyncNotice,
} from '../feed.ts';
import { type Limited, LimitGuard } from '../limits.ts';
import { FlushRound } from '../outbound/flush-round.ts';
import { FlushScheduler } from '../outbound/flush-scheduler.ts';
import { FrameWriter } from '../outbound/frame-writer.ts';
import {
  descriptorOf,
  loadSend,
  NO_DESCRIPTOR,
  sendNothing,
  type WriteMode,
} from '../outbound/socket-send.ts';
import { oncePerFormat, type WireFormat } from '../outbound/wire-format.ts';
import { AttendedTime, BEAT_MS, BEATS_PER_SECOND } from './attended-time.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { DueTimes } from './due-times.ts';
import { Membership, type ReadableIndex } from './membership.ts';
import { Requests } from './requests.ts';
import { type Rights, Session, type SessionLimits } from './session.ts';
import { StateNotices } from './state-notices.ts';
import { createFanOutStatistics } from './statistics.ts';
import { type SubscriptionLimits, Subscriptions } from './subscriptions.ts';
import { endOfBudget, inTurns } from './turn-budget.ts';
import type { RecoveryOutcome } from './waiting-clients.ts';

/** How a fan-out worker treats its clients. */
export interface FanOutSettings extends SessionLimits {
  readonly outbox: OutboxLimits;
  readonly slow: SlowPolicy;
  /** Recent publications that are kept for clients which were refused them, in bytes; 0 for none. */
  readonly logBytes: number;
  readonly subscriptions: SubscriptionLimits;
  /** What each client may do. */
  readonly rights: Rights;
  /** Whether what goes beyond a rate is refused. */
  readonly enforcesRates: boolean;
  /** Errors of a client in `ERROR_WINDOW_MS`, with the last of which it is closed. */
  readonly maxErrors: number;
  /** Under load, how far apart rounds of flushes may begin because of a pause, in ms; 0 for no pause. */
  readonly flushMs: number;
  /** See `FlushScheduler`. */
  readonly roundSpacing: number;
  /** What clients may speak; the first one is spoken where a client asks for none. */
  readonly formats: readonly [WireFormat, ...WireFormat[]];
  /** How frames go to the kernel. */
  readonly writes: WriteMode;
  /** Whether what goes there before the client has read it is to be bounded; see `needsSendWindow`. */
  readonly isWindowed: boolean;
  /** The parts of `welcome` that are the same for every client. */
  readonly welcome: Omit<Welcome, 'type' | 'session' | 'serverTime' | 'protocol'>;
}

/** What a fan-out worker reports. */
export interface FanOutEvents {
  clientOpened(): void;
  clientClosed(reason: CloseReason, session: string): void;
  requestRejected(code: ErrorCode): void;
  limited: Limited;
  /** A client asked to continue a channel, or for its history. */
  recovered(outcome: RecoveryOutcome): void;
  /** So many clients are told that they miss publications. */
  gapTold(reason: GapReason, clients: number): void;
  /** So many clients are told that a channel begins a new epoch. */
  resyncTold(clients: number): void;
  /** From a publication's timestamp until it was handed to the sockets, in ms. */
  delivered(lagMs: number): void;
}

/**
 * Where each client's pings are among those of its likes: n times the golden section, less the whole part. However many
 * come together, and whoever leaves, they are spread more evenly than by chance (Knuth, The Art of Computer Programming 3, 6.4).
 */
const GOLDEN_SECTION = (Math.sqrt(5) - 1) / 2;

/**
 * A fan-out worker: owns the sockets, knows who subscribed to what, delivers. It knows nothing of
 * Redis; what it needs from upstream is a {@link Feed}.
 */
export class FanOut implements FeedListener, ConnectionOwner {
  readonly #membership = new Membership();
  readonly index: ReadableIndex = this.#membership.index;
  readonly statistics = createFanOutStatistics();
  readonly #settings: FanOutSettings;
  readonly #publicationLog: PublicationLog;
  readonly #queues: SendQueues;
  readonly #events: FanOutEvents;
  readonly #subscriptions: Subscriptions;
  readonly #requests: Requests;
  readonly #connections = new Set<Connection>();
  /** Who writes in each format; the index is the group of the connections that speak it. */
  readonly #writers: readonly FrameWriter[];
  readonly #round = createDeliveryRound<Connection>();
  readonly #flushRound: FlushRound<Connection>;
  readonly #time = new AttendedTime(performance.now());
  readonly #due = new DueTimes<Connection>();
  readonly #notices = new StateNotices(this.#connections);
  readonly #ticker: NodeJS.Timeout;
  #nextServe: NodeJS.Immediate | undefined;
  readonly #flushScheduler: FlushScheduler;
  #opened = 0;
  #isStopped = false;
  /** Which of the parts of all queues is trimmed next. */
  #nextTrim = 0;

  /** @param connect makes the link upstream, given whom it is to tell. */
  constructor(
    settings: FanOutSettings,
    events: FanOutEvents,
    connect: (listener: FeedListener) => Feed,
  ) {
    this.#settings = settings;
    const send = settings.writes === 'send' ? loadSend() : sendNothing;
    this.#writers = settings.formats.map((format) => new FrameWriter(format, send));
    this.#publicationLog = new PublicationLog(settings.logBytes);
    this.#queues = new SendQueues(settings.outbox);
    this.#events = events;
    const guard = new LimitGuard(settings.enforcesRates, events.limited);
    this.#subscriptions = new Subscriptions(
      this.#membership,
      settings.subscriptions,
      this.#publicationLog,
      connect(this),
      events.recovered,
      guard,
    );
    this.#requests = new Requests(
      this.#subscriptions,
      events.requestRejected,
      guard,
      settings.maxErrors,
    );
    this.#flushRound = new FlushRound(this.#round.dirty, (publishedAt) => {
      events.delivered(Date.now() - publishedAt);
    });
    this.#flushScheduler = new FlushScheduler(settings.flushMs, settings.roundSpacing, () => {
      const goesOn = this.#flushRound.flushSome();
      if (!goesOn && !this.#flushRound.isEmpty) this.#flushScheduler.schedule();
      return goesOn;
    });
    this.#ticker = setInterval(() => this.#tick(), BEAT_MS);
  }

  /** Bytes written to client sockets so far, frame headers included. */
  get bytesOut(): number {
    return this.#writers.reduce((sum, { bytesOut }) => sum + bytesOut, 0);
  }

  /** Channels for which it holds interest upstream. */
  get interest(): number {
    return this.#subscriptions.interest;
  }

  /** The most publications that wait for one client, and the most bytes of them. */
  get fullestQueue(): { readonly publications: number; readonly bytes: number } {
    return this.#queues.fullest();
  }

  /** Bytes of memory that it has for the entries of queues, which refer to the publications that wait. */
  get queueEntryBytes(): number {
    return this.#queues.entryBytes;
  }

  /** Bytes of publications that it keeps for clients that are behind and for those that resume. */
  get logBytes(): number {
    return this.#publicationLog.bytes;
  }

  /** All connections, also those that are being closed. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Takes over a connection whose handshake is done, with the format that it chose of the settings' formats. */
  open(webSocket: WebSocket, socket: Socket, format = this.#settings.formats[0]): Connection {
    const group = this.#settings.formats.indexOf(format);
    const { node, ...welcome } = this.#settings.welcome;
    this.#opened += 1;
    const session = new Session({
      id: randomUUID(),
      rights: this.#settings.rights,
      limits: this.#settings,
      time: this.#time,
      phase: (this.#opened * GOLDEN_SECTION) % 1,
      now: performance.now(),
    });
    const connection = new Connection({
      session,
      webSocket,
      socket,
      descriptor: this.#settings.writes === 'stream' ? NO_DESCRIPTOR : descriptorOf(socket),
      outbox: new Outbox(this.#queues, this.#settings.slow, this.#publicationLog, format.bodyOf),
      group,
      time: this.#time,
      writer: this.#writers[group] as FrameWriter,
      isWindowed: this.#settings.isWindowed,
      owner: this,
    });
    this.#connections.add(connection);
    this.#due.add(connection, connection.dueAt);
    this.#events.clientOpened();
    connection.send({
      type: 'welcome',
      session: session.id,
      serverTime: Date.now(),
      node,
      protocol: format.subprotocol,
      ...welcome,
    });
    this.#notices.sendTo(connection);
    return connection;
  }

  /** Ends the worker: terminates whoever is still connected, some in a turn. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    clearImmediate(this.#nextServe);
    this.#isStopped = true;
    await inTurns(this.#connections, (connection) => connection.terminate('draining'));
    this.#flushScheduler.stop();
  }

  // What upstream tells.

  onPublication(publication: Publication): void {
    const refusedBefore = this.#round.refused;
    const now = performance.now();
    this.#publicationLog.append(publication);
    if (publication.offset > 0) this.#subscriptions.recordPublication(publication);
    let reached = 0;
    for (let group = 0; group < this.#writers.length; group += 1) {
      const audience = this.index.audience(publication.channel, group);
      const { format } = this.#writers[group] as FrameWriter;
      deliver(inFormat(publication, format), audience, this.#queues, now, this.#round);
      reached += audience.members.length;
    }
    const refused = this.#round.refused - refusedBefore;
    this.statistics.indexLookups += 1;
    this.statistics.broadcastIterations += reached;
    this.statistics.refusals += refused;
    const queued = reached - refused;
    this.statistics.deliveries += queued;
    this.#applyVerdicts();
    this.#flushRound.mark(publication.publishedAt, publication.body.length, queued > 0);
  }

  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void {
    this.#subscriptions.startChannels(acknowledgements);
  }

  onRefused(channels: readonly string[], code: ErrorCode): void {
    this.#subscriptions.endChannels(channels, code);
  }

  onGap(notice: GapNotice): void {
    const { channel, lost, from, to } = notice;
    const gap: Gap = { type: 'gap', ...notice };
    const subscribers = this.index.get(channel);
    this.#subscriptions.recordGap(notice);
    this.#events.gapTold(notice.reason, subscribers.length);
    const missing = missingPublications(lost, from, to);
    const noticeIn = oncePerFormat((format) => {
      return { channel, missing, frame: format.encodeControl(gap) };
    });
    for (const connection of subscribers) connection.sendInOrder(noticeIn(connection.format));
  }

  onResync(notice: ResyncNotice): void {
    const { channel } = notice;
    const epoch = this.#subscriptions.beginEpoch(notice);
    const subscribers = this.index.get(channel);
    this.#events.resyncTold(subscribers.length);
    const noticeIn = oncePerFormat((format) => {
      const frame = format.encodeControl({ type: 'resync', ...notice, reason: 'history_lost' });
      return { channel, frame, missing: { kind: 'epoch-end', epoch } as const };
    });
    for (const connection of subscribers) connection.sendInOrder(noticeIn(connection.format));
  }

  onHistory(answer: HistoryAnswer): void {
    this.#subscriptions.takeHistory(answer);
  }

  onDegraded(since: number): void {
    this.#subscriptions.available = false;
    this.#notices.setDegraded(since);
    this.#serveDue();
  }

  onRestored(): void {
    this.#subscriptions.available = true;
    this.#notices.setRestored();
    this.#serveDue();
  }

  // What connections tell.

  onFlushNeeded(connection: Connection): void {
    this.#round.dirty.push(connection);
    this.#flushScheduler.schedule();
  }

  onBlocked(connection: Connection): void {
    this.#due.hasten(connection, connection.dueAt);
  }

  onCaughtUp(publications: number): void {
    this.statistics.deliveries += publications;
    this.statistics.caughtUp += publications;
  }

  onLosses(connection: Connection, losses: readonly Loss[]): void {
    for (const loss of losses) {
      const { channel, frame } = loss;
      if (connection.isOpen && !this.index.has(channel, connection)) continue;
      const gap = gapOf(loss, loss.epoch ?? this.#subscriptions.epochOf(channel));
      if (frame === undefined) this.#events.gapTold(gap.reason, 1);
      connection.sendNow({
        channel,
        missing: loss.missing,
        frame: frame ?? connection.format.encodeControl(gap),
      });
    }
  }

  onMessage(connection: Connection, data: Buffer, isBinary: boolean): void {
    this.#requests.handle(connection, data, isBinary, performance.now());
  }

  onControlFrame(connection: Connection): void {
    this.#requests.handleControlFrame(connection, performance.now());
  }

  onLeaving(connection: Connection): void {
    connection.outbox.close((channel) => this.#subscriptions.epochOf(channel));
    this.#subscriptions.removeClient(connection);
  }

  onClosed(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection);
    this.#due.remove(connection);
    this.#events.clientClosed(reason, connection.session.id);
  }

  /** Acts on what a delivery left to do, now that its loop is over. */
  #applyVerdicts(): void {
    const { nearlyFull, slow } = this.#round;
    for (const connection of nearlyFull) connection.flush();
    for (const connection of slow) connection.close('slow');
    nearlyFull.length = 0;
    slow.length = 0;
    if (!this.#flushRound.isEmpty) this.#flushScheduler.schedule();
  }

  #tick(): void {
    const before = this.#time.beat;
    if (!this.#time.advance(performance.now())) return;
    const second = Math.floor(this.#time.beat / BEATS_PER_SECOND);
    if (Math.floor(before / BEATS_PER_SECOND) < second) this.#subscriptions.tick();
    this.#queues.trim(this.#nextTrim, BEATS_PER_SECOND);
    this.#nextTrim = (this.#nextTrim + 1) % BEATS_PER_SECOND;
    this.#publicationLog.trim();
    this.#serveDue();
  }

  /** Does what is due for clients, as much as a turn has time for, and goes on in the next one. */
  #serveDue(): void {
    if (this.#nextServe !== undefined || this.#isStopped) return;
    const until = endOfBudget();
    const goesOn =
      this.#notices.sendSome(until) ||
      this.#subscriptions.serveWaiting(until) ||
      this.#due.serveSome(this.#time.beat, this.#serveClient, until);
    if (!goesOn) return;
    this.#nextServe = setImmediate(() => {
      this.#nextServe = undefined;
      this.#serveDue();
    });
  }

  readonly #serveClient = (connection: Connection): number => {
    connection.tend(performance.now());
    // What it was promised is held for it, and others wait for theirs.
    if (this.#subscriptions.waitsForMemory && connection.blocksReplayMemory)
      connection.close('slow');
    return connection.dueAt;
  };
}

/** The same publication with the body that clients of a format are sent. */
function inFormat(publication: Publication, format: WireFormat): Publication {
  const body = format.bodyOf(publication);
  return body === publication.body ? publication : { ...publication, body };
}

/** How a client is told of a loss: by its offsets where it has any, by its number where that is known. */
function gapOf({ channel, missing, reason }: Loss, epoch: string | undefined): Gap {
  const range =
    missing.kind === 'range' && epoch ? { epoch, from: missing.from, to: missing.to } : {};
  const lost = countOf(missing);
  if (lost === undefined) return { type: 'gap', channel, ...range, reason: 'link' };
  return { type: 'gap', channel, ...range, lost, reason };
}
