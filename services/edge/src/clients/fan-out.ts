import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type Loss,
  Outbox,
  type Publication,
  PublicationLog,
  SendQueues,
  type WireChannel,
  type WireReference,
} from '@tradewind/fanout';
import type { CloseReason, ErrorCode } from '@tradewind/protocol';
import type { WebSocket } from 'ws';
import type { Identity } from '../auth/token-verifier.ts';
import type { Acknowledgement, Feed, FeedListener, GapNotice, ResyncNotice } from '../feed.ts';
import { LimitGuard } from '../limits.ts';
import { FrameWriter } from '../outbound/frame-writer.ts';
import { descriptorOf, loadSend, NO_DESCRIPTOR, sendNothing } from '../outbound/socket-send.ts';
import type { WireFormat } from '../outbound/wire-format.ts';
import type { Owner } from '../owners/owner.ts';
import { Authentication } from './authentication.ts';
import { Connection, type ConnectionOwner } from './connection/connection.ts';
import { gapNotice, gapOf, resyncNotice } from './connection/loss-notices.ts';
import { RevokedSessions } from './connection/revoked-sessions.ts';
import { StateNotices } from './connection/state-notices.ts';
import { Deliveries } from './deliveries.ts';
import type { FanOutEvents, FanOutStatistics } from './fan-out-events.ts';
import type { FanOutSettings } from './fan-out-settings.ts';
import { BinaryInterest } from './membership/binary-interest.ts';
import { Conflation } from './membership/conflation.ts';
import { Membership, type ReadableIndex } from './membership/membership.ts';
import { PublicationBodies } from './publication-bodies.ts';
import { Requests } from './requests.ts';
import type { SavedByChannel } from './saved-by-channel.ts';
import { Session } from './session/session.ts';
import { SubjectConnections } from './session/subject-connections.ts';
import { Subscriptions } from './subscriptions/subscriptions.ts';
import { BEATS_PER_SECOND } from './time/attended-time.ts';
import { ClientTurns } from './time/client-turns.ts';
import { reconnectSpreadMs } from './time/reconnect-spread.ts';
import { inTurns } from './time/turn-budget.ts';

/** What the handshake says of a client. */
export interface NewClient {
  /** The one of the settings' formats that the client chose; the first one by default. */
  readonly format?: WireFormat;
  /** The token that came in the handshake. It is ignored if the node asks for no tokens. */
  readonly token?: string | undefined;
  /** See {@link Session}. */
  readonly address?: string;
  /** See {@link Session}. */
  readonly origin?: string | undefined;
  /** See {@link Session}. The owner counts the connection already. */
  readonly addressOwner?: Owner | undefined;
}

/**
 * The phase of the nth client is n times this, without the integer part. So pings are spread more evenly than at random,
 * whichever clients come and go (Knuth, The Art of Computer Programming 3, 6.4).
 */
const GOLDEN_SECTION = (Math.sqrt(5) - 1) / 2;

/**
 * A fan-out worker: it owns the sockets, and delivers to each client the channels that the client holds. It knows nothing of
 * Redis; everything comes from a {@link Feed}.
 */
export class FanOut implements FeedListener, ConnectionOwner {
  readonly #membership: Membership;
  readonly index: ReadableIndex;
  readonly statistics: FanOutStatistics;
  readonly savedByChannel: SavedByChannel;
  readonly #settings: FanOutSettings;
  readonly #publicationLog: PublicationLog;
  readonly #queues: SendQueues;
  readonly #events: FanOutEvents;
  readonly #subscriptions: Subscriptions;
  readonly #conflation: Conflation;
  readonly #requests: Requests;
  readonly #revokedSessions: RevokedSessions;
  readonly #connections = new Set<Connection>();
  #binaryConnections = 0;
  readonly #subjects: SubjectConnections;
  /** The writer of each format. Its index is the group of the connections that chose the format. */
  readonly #writers: readonly FrameWriter[];
  readonly #bodies: PublicationBodies;
  readonly #deliveries: Deliveries;
  readonly #turns: ClientTurns<Connection>;
  readonly #notices = new StateNotices(this.#connections);
  #opened = 0;
  #unidentified = 0;
  /** The part of the queues that is trimmed next. */
  #nextTrim = 0;

  /** @param connect attaches the listener to a hub, and returns the feed of that hub. */
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
    this.#revokedSessions = new RevokedSessions(this.#connections, (session) => {
      events.sessionRevoked(session);
    });
    const guard = new LimitGuard(settings.enforcesRates, events.limited);
    this.#membership = new Membership(settings.formats.length);
    this.index = this.#membership.index;
    this.#bodies = new PublicationBodies(
      settings.formats,
      this.#membership,
      (connection, channel, reference) => this.#conflation.wasTold(connection, channel, reference),
    );
    this.#deliveries = new Deliveries(settings, this.index, this.#bodies, this.#queues, events);
    this.statistics = this.#deliveries.statistics;
    this.savedByChannel = this.#deliveries.savedByChannel;
    this.#conflation = new Conflation(this.#membership, {
      deliver: (publication, audience, skipped, isRaw) =>
        this.#deliveries.deliverLatest(publication, audience, skipped, isRaw),
      referenceFor: (connection, channel) =>
        connection.format.isBinary && this.#membership.readsReferences(connection, channel)
          ? this.#subscriptions.referenceOf(channel)
          : undefined,
      tellReference: (connection, reference) => this.#tellReference(connection, reference),
      tellGap: (notice, connections) => this.#tellGap(notice, connections),
      tellRefused: ({ channel, offset }, connection) => {
        const epoch = offset > 0 ? this.#subscriptions.epochOf(channel) : undefined;
        const range = epoch !== undefined && { epoch, from: offset, to: offset };
        this.#tellGap({ channel, ...range, lost: 1, reason: 'slow' }, [connection]);
      },
    });
    this.#subjects = new SubjectConnections(settings.subjectLimits, guard);
    const feed = connect(this);
    this.#membership.listen(new BinaryInterest(feed, this.index));
    this.#subscriptions = new Subscriptions(
      this.#membership,
      this.#conflation,
      settings.subscriptions,
      this.#publicationLog,
      feed,
      events.recovered,
      guard,
    );
    this.#requests = new Requests(
      this.#subscriptions,
      events.requestRejected,
      guard,
      settings.maxErrors,
      this.#authenticationWith(settings.tokens),
      events.tokenRefused,
    );
    this.#turns = new ClientTurns<Connection>({
      onBeat: (isNewSecond) => this.#onBeat(isNewSecond),
      serveFirst: (until) =>
        this.#notices.sendSome(until) || this.#subscriptions.serveWaiting(until),
      serve: (connection) => this.#serve(connection),
    });
  }

  /** The number of subscriptions to the latest of a channel. */
  get latestSubscriptions(): number {
    return this.#conflation.subscriptions;
  }

  /** The number of connections that chose binary frames. */
  get binaryConnections(): number {
    return this.#binaryConnections;
  }

  /** Bytes written to client sockets so far, frame headers included. */
  get bytesOut(): number {
    return this.#writers.reduce((sum, { bytesOut }) => sum + bytesOut, 0);
  }

  /** The number of channels that it declares to the hub. */
  get interest(): number {
    return this.#subscriptions.interest;
  }

  /** The most publications that wait for one client, and the most bytes of them. */
  get fullestQueue(): { readonly publications: number; readonly bytes: number } {
    return this.#queues.fullest();
  }

  /** Bytes of memory for the entries of queues, which refer to publications. */
  get queueEntryBytes(): number {
    return this.#queues.entryBytes;
  }

  /** Bytes of publications that are kept for clients that are behind or resume. */
  get logBytes(): number {
    return this.#publicationLog.bytes;
  }

  /** The number of connections whose clients must still say who they are. */
  get unidentified(): number {
    return this.#unidentified;
  }

  /** All connections, including those that are being closed. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Takes over a connection after its handshake, and welcomes the client. The worker owns the result. */
  open(webSocket: WebSocket, socket: Socket, client: NewClient = {}): Connection {
    const {
      format = this.#settings.formats[0],
      token,
      address = '',
      origin,
      addressOwner,
    } = client;
    const group = this.#settings.formats.indexOf(format);
    const { node, ...welcome } = this.#settings.welcome;
    this.#opened += 1;
    const session = new Session({
      id: randomUUID(),
      address,
      origin,
      addressOwner,
      rights: this.#settings.rights,
      mustIdentify: this.#settings.tokens !== undefined,
      limits: this.#settings,
      time: this.#turns.time,
      phase: (this.#opened * GOLDEN_SECTION) % 1,
      now: performance.now(),
    });
    const connection: Connection = new Connection({
      session,
      webSocket,
      socket,
      descriptor: this.#settings.writes === 'stream' ? NO_DESCRIPTOR : descriptorOf(socket),
      outbox: new Outbox(
        this.#queues,
        this.#settings.slow,
        this.#publicationLog,
        this.#bodies.pastBodiesFor(format, () => connection),
      ),
      group,
      time: this.#turns.time,
      writer: this.#writers[group] as FrameWriter,
      isWindowed: this.#settings.isWindowed,
      owner: this,
    });
    this.#connections.add(connection);
    if (format.isBinary) this.#binaryConnections += 1;
    this.#turns.add(connection, connection.dueAt);
    this.#events.clientOpened(session);
    connection.send({
      type: 'welcome',
      session: session.id,
      serverTime: Date.now(),
      node,
      protocol: format.subprotocol,
      ...welcome,
      reconnect: { spreadMs: reconnectSpreadMs(this.#settings.nodeConnections()) },
    });
    this.#notices.sendTo(connection);
    if (session.identity !== undefined) {
      this.#countUnidentified(session, 1);
      if (token !== undefined) void this.#requests.authenticate(connection, token, undefined);
    }
    return connection;
  }

  /** Ends the worker: terminates all connections, over several turns of the event loop. */
  async stop(): Promise<void> {
    this.#turns.stop();
    this.#conflation.stop();
    await inTurns(this.#connections, (connection) => connection.terminate('draining'));
    this.#deliveries.stop();
  }

  /** See {@link RevokedSessions.end}. */
  endRevoked(isRevoked: (identity: Identity) => boolean): Promise<void> {
    return this.#revokedSessions.end(isRevoked);
  }

  // The feed's listener.

  onPublication(publication: Publication): void {
    this.#publicationLog.append(publication);
    if (publication.offset > 0) this.#subscriptions.recordPublication(publication);
    this.#deliveries.deliver(publication);
    if (this.#conflation.subscriptions > 0) this.#conflation.addPublication(publication);
  }

  onReference(channel: string, { reference }: WireChannel): void {
    if (reference === undefined) return;
    // Conflation tells it to the clients that have the latest, when they need it.
    for (const { group, isTold } of this.#bodies.groups) {
      if (!isTold) continue;
      const { members } = this.index.audience(channel, group);
      for (const connection of [...members]) this.#tellReference(connection, reference);
    }
  }

  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void {
    this.#subscriptions.startChannels(acknowledgements);
  }

  onRefused(channels: readonly string[], code: ErrorCode): void {
    for (const channel of channels) this.#conflation.sendHeldBack(channel);
    this.#subscriptions.endChannels(channels, code);
  }

  onGap(notice: GapNotice): void {
    this.#subscriptions.recordGap(notice);
    const { channel } = notice;
    this.#tellGap(
      notice,
      this.#bodies.groups.flatMap(({ group }) => this.index.audience(channel, group).members),
    );
    this.#conflation.addGap(notice);
  }

  onResync(notice: ResyncNotice): void {
    this.#conflation.sendHeldBack(notice.channel);
    const noticeIn = resyncNotice(notice, this.#subscriptions.beginEpoch(notice));
    const subscribers = this.index.get(notice.channel);
    this.#events.resyncTold(subscribers.length);
    for (const connection of subscribers) connection.sendInOrder(noticeIn(connection.format));
  }

  onDegraded(since: number, channels?: readonly string[]): void {
    this.#subscriptions.cutOff = channels === undefined ? 'all' : new Set(channels);
    if (channels === undefined) this.#notices.setDegraded(since);
    else
      this.#notices.setCutOff(since, channels, (connection) => this.index.channelsOf(connection));
    this.#turns.serveDue();
  }

  onRestored(): void {
    this.#subscriptions.cutOff = 'none';
    this.#notices.setRestored();
    this.#turns.serveDue();
  }

  // The owner of connections.

  onFlushNeeded(connection: Connection): void {
    this.#deliveries.flushSoon(connection);
  }

  onBlocked(connection: Connection): void {
    this.#turns.hasten(connection, connection.dueAt);
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
    if (connection.format.isBinary) this.#binaryConnections -= 1;
    this.#turns.remove(connection);
    const { identity } = connection.session;
    if (identity !== undefined && identity.current === undefined) {
      this.#countUnidentified(connection.session, -1);
    }
    this.#subjects.leave(connection.session);
    this.#events.clientClosed(reason, connection.session);
  }

  #tellReference(connection: Connection, { frame }: WireReference): void {
    this.#subscriptions.chargeReference(connection, frame.length);
    connection.sendEncoded(frame);
  }

  #tellGap(notice: GapNotice, connections: readonly Connection[]): void {
    this.#events.gapTold(notice.reason, connections.length);
    const noticeIn = gapNotice(notice);
    for (const connection of connections) connection.sendInOrder(noticeIn(connection.format));
  }

  #authenticationWith(tokens: FanOutSettings['tokens']): Authentication | undefined {
    if (tokens === undefined) return undefined;
    return new Authentication({
      verify: (token) => tokens.verify(token),
      admits: ({ session }, { subject }) => this.#subjects.admit(session, subject),
      applyRights: (connection) => this.#subscriptions.applyRights(connection),
      onIdentified: (connection, isFirst) => {
        if (isFirst) this.#countUnidentified(connection.session, -1);
        this.#turns.hasten(connection, connection.dueAt);
        this.#events.identified(connection.session, isFirst);
      },
    });
  }

  #countUnidentified({ addressOwner }: Session, change: 1 | -1): void {
    this.#unidentified += change;
    if (addressOwner !== undefined) addressOwner.unidentified += change;
  }

  #onBeat(isNewSecond: boolean): void {
    if (isNewSecond) {
      this.#subscriptions.tick();
      this.savedByChannel.tick();
      this.#bodies.clear();
    }
    this.#queues.trim(this.#nextTrim, BEATS_PER_SECOND);
    this.#nextTrim = (this.#nextTrim + 1) % BEATS_PER_SECOND;
    this.#publicationLog.trim();
  }

  #serve(connection: Connection): number {
    connection.tend(performance.now());
    // It occupies replay memory that others wait for.
    if (this.#subscriptions.waitsForMemory && connection.blocksReplayMemory)
      connection.close('slow');
    return connection.dueAt;
  }
}
