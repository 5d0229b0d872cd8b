import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DeliveryRecord, type Published } from '../../support/clients/delivery-record.ts';
import { DocumentClient } from '../../support/clients/document-client.ts';
import type { Rules } from '../../support/clients/document-client-rules.ts';
import type {
  Surroundings,
  Wire,
  WireEvents,
} from '../../support/clients/document-client-surroundings.ts';
import { AT_ONCE, MIXED } from '../../support/clients/old-document-rules.ts';
import { ScriptPublisher } from '../../support/clients/script-publisher.ts';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

/** Repeats the same choices; the timing of the processes stays different. */
const SEED_VARIABLE = 'DOCUMENT_SEED';
const SEED = Number(process.env[SEED_VARIABLE] ?? Date.now() % 1_000_000);

const CHANNELS = ['BTC.trade', 'ETH.trade'];
/** Only some clients want it, and they stop reading: its publications are large. */
const LARGE = 'large.trade';
const STALLED = 4;
const LARGE_BYTES = 60_000;

/**
 * In each part of the scenario a client is disconnected after 0 to 23 frames, reconnects, and is disconnected again in
 * the same way.
 */
const CUTS = 24;

const HISTORY_SIZE = 30;

/** Random waits are drawn from the shortest tenth of what the document allows. */
const SHORTEST = 0.1;

const SETTLE_DEADLINE_MS = 20_000;

/** A connection to a real edge that can be cut after any frame. */
class RealWire implements Wire {
  readonly #socket: WebSocket;
  readonly #events: WireEvents;
  #isOver = false;

  /** @param isCut called at the start and after each frame: whether to cut here. */
  constructor(url: string, events: WireEvents, isCut: (frames: number) => boolean) {
    this.#events = events;
    this.#socket = new WebSocket(url, { perMessageDeflate: false });
    let frames = 0;
    this.#socket.on('error', () => {});
    this.#socket.on('unexpected-response', (request, response) => {
      this.#end(() => {
        const retryAfter = response.headers['retry-after'];
        events.refused(
          response.statusCode!,
          retryAfter === undefined ? undefined : Number(retryAfter),
        );
      });
      request.destroy();
    });
    this.#socket.on('open', () => {
      if (isCut(frames)) this.cut();
    });
    this.#socket.on('message', (data) => {
      if (this.#isOver) return;
      frames += 1;
      events.frame(String(data));
      if (isCut(frames)) this.cut();
    });
    this.#socket.on('close', (code) => {
      const NO_CLOSE_FRAME = [1005, 1006];
      this.#end(() => events.closed(NO_CLOSE_FRAME.includes(code) ? undefined : code));
    });
  }

  send(text: string): void {
    if (!this.#isOver && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  close(code: number): void {
    this.#isOver = true;
    this.#socket.close(code);
  }

  cut(): void {
    this.#socket.terminate();
    this.#end(() => setImmediate(() => this.#events.closed(undefined)));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  terminate(): void {
    this.#isOver = true;
    this.#socket.terminate();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  #end(tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    tell();
  }
}

/** A client on real edges, and everything that its test does to it. */
class Subject implements Disposable {
  readonly record = new DeliveryRecord();
  readonly client: DocumentClient;
  readonly channels: readonly string[];
  readonly #wires = new Set<RealWire>();
  readonly #cutAfter: number;
  #cutsLeft = 0;
  /** Frames of the present connection before it was armed. */
  #before = 0;
  #frames = 0;
  isOffline = false;

  constructor(tier: Tier, index: number, history: number | undefined, changes: Partial<Rules>) {
    this.#cutAfter = index % CUTS;
    const random = createRandom(SEED + index);
    this.channels = index % CUTS < STALLED ? [...CHANNELS, LARGE] : CHANNELS;
    const surroundings: Surroundings = {
      open: (events) => this.#open(tier.edges[random.below(tier.edges.length)]!.wsUrl, events),
      after(ms, act) {
        const timer = setTimeout(act, ms);
        return () => clearTimeout(timer);
      },
      random: () => random.next() * SHORTEST,
    };
    this.client = new DocumentClient(
      this.channels.map((channel) => (history === undefined ? { channel } : { channel, history })),
      this.record,
      surroundings,
      changes,
    );
    this.arm();
    this.client.start();
  }

  /** Cuts the present connection, and the next one, after the configured number of further frames. */
  arm(): void {
    this.#cutsLeft = 2;
    this.#before = this.#frames;
    if (this.#cutAfter === 0) for (const wire of this.#wires) this.#cut(wire);
  }

  cut(): void {
    for (const wire of this.#wires) wire.cut();
  }

  stall(isStalled: boolean): void {
    for (const wire of this.#wires) {
      if (isStalled) wire.pause();
      else wire.resume();
    }
  }

  isSettled(published: Published): boolean {
    this.#forget();
    const isAtEnd = (channel: string): boolean => this.record.isAtEnd(channel, published);
    return this.client.isLive && this.channels.every(isAtEnd);
  }

  faults(published: Published): string[] {
    return [
      ...this.channels.flatMap((channel) => this.record.faultsOf(channel, published)),
      ...this.record.gaveUps.map((what) => `gave up ${what}`),
      ...(this.record.hasStopped ? ['stopped'] : []),
    ].map((fault) => `cut after ${this.#cutAfter}: ${fault}`);
  }

  [Symbol.dispose](): void {
    this.client.stop();
    for (const wire of this.#wires) wire.terminate();
  }

  #open(url: string, events: WireEvents): Wire {
    if (this.isOffline) {
      setImmediate(() => events.closed(undefined));
      return { send() {}, close() {} };
    }
    this.#forget();
    this.#before = 0;
    this.#frames = 0;
    const wire = new RealWire(url, events, (frames) => {
      this.#frames = frames;
      const isCut = this.#cutsLeft > 0 && frames - this.#before >= this.#cutAfter;
      if (isCut) this.#cutsLeft -= 1;
      return isCut;
    });
    this.#wires.add(wire);
    return wire;
  }

  #cut(wire: RealWire): void {
    this.#cutsLeft -= 1;
    wire.cut();
  }

  #forget(): void {
    for (const wire of this.#wires) if (wire.isOver) this.#wires.delete(wire);
  }
}

/** Publishes on both channels, and lets the others work between two publications. */
async function publishSome(publisher: ScriptPublisher, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    for (const channel of CHANNELS) await publisher.publish(channel);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('a client that does what docs/protocol.md says, cut at every frame, uses each offset once or reports it', async () => {
  await using tier = await startTier({
    edges: 2,
    env: {
      ...{ EDGE_QUEUE_SLOTS: '8', EDGE_RING_BYTES: String(1024 * 1024) },
      ...{ EDGE_MAX_HISTORY: '60', EDGE_SLOW_GRACE_MS: '60000', EDGE_TAIL_CHECK_SECONDS: '1' },
      ...{ DRAIN_SECONDS: '5' },
    },
  });
  const publisher = new ScriptPublisher(tier.backend, HISTORY_SIZE);
  await publishSome(publisher, 8);
  await publisher.publish(LARGE);

  using stack = new DisposableStack();
  const start = (history: number | undefined, changes: Partial<Rules> = {}): Subject[] =>
    Array.from({ length: CUTS }, (_, i) => stack.use(new Subject(tier, i, history, changes)));
  const subjects = [...start(undefined), ...start(6)];
  const controls = { atOnce: start(undefined, AT_ONCE), mixed: start(undefined, MIXED) };
  const all = [...subjects, ...controls.atOnce, ...controls.mixed];
  const settle = async (what: string): Promise<void> => {
    const behind = () => subjects.filter((subject) => !subject.isSettled(publisher));
    await eventually(() => behind().length === 0, { deadlineMs: SETTLE_DEADLINE_MS }).catch(() => {
      const faults = behind().flatMap((subject) => subject.faults(publisher));
      throw new Error(`${what} (${SEED_VARIABLE}=${SEED}):\n${faults.slice(0, 20).join('\n')}`);
    });
  };
  const arm = (): void => {
    for (const subject of all) subject.arm();
  };
  const leave = (): void => {
    for (const subject of all) subject.isOffline = true;
    for (const subject of all) subject.cut();
  };
  const comeBack = (): void => {
    for (const subject of all) subject.isOffline = false;
    arm();
  };
  await settle('the first connection');

  const forget = async (): Promise<void> => {
    for (const channel of CHANNELS) {
      await tier.backend.del(`{${channel}}:meta`, `{${channel}}:log`);
    }
  };
  leave();
  await forget();
  await publishSome(publisher, 3);
  comeBack();
  await publishSome(publisher, 20);
  await settle('an epoch that began while all were away');

  arm();
  await forget();
  await publishSome(publisher, 12);
  await settle('an epoch that begins');

  arm();
  await publishSome(publisher, 12);
  await settle('replays');

  arm();
  for (const payload of [Buffer.from([0xff]), Buffer.alloc(65_537, '1'), Buffer.from([0xfe])]) {
    await publishSome(publisher, 3);
    for (const channel of CHANNELS) await publisher.publish(channel, payload);
  }
  await publishSome(publisher, 2);
  await settle('publications that cannot be delivered');

  leave();
  await publishSome(publisher, 10);
  const { offset } = publisher.endOf(CHANNELS[0]!)!;
  await tier.backend.xdel(`{${CHANNELS[0]}}:log`, `${offset - 4}-0`);
  for (let i = 0; i < HISTORY_SIZE + 5; i += 1) await publisher.publish(CHANNELS[1]!);
  comeBack();
  await settle('a history that was trimmed');

  const stalled = subjects.filter(({ channels }) => channels.includes(LARGE));
  for (const subject of stalled) subject.stall(true);
  for (let i = 0; i < 250; i += 1) {
    await publisher.publish(LARGE, undefined, 'x'.repeat(LARGE_BYTES));
  }
  // Stalled clients have much to read before their next gap, and are not cut during that.
  for (const subject of all) if (!stalled.includes(subject)) subject.arm();
  for (const subject of stalled) subject.stall(false);
  await publishSome(publisher, 3);
  await settle('clients that read too slowly');

  arm();
  tier.edges[0]!.signal('SIGTERM');
  const exit = tier.edges[0]!.exited;
  await publishSome(publisher, 100);
  await exit;
  await publishSome(publisher, 1);
  await publisher.publish(LARGE);
  await settle('a drain');

  const faults = subjects.flatMap((subject) => subject.faults(publisher));
  expect(faults, `${SEED_VARIABLE}=${SEED}`).toEqual([]);
  const reasons = new Set(subjects.flatMap(({ record }) => [...record.gapReasons]));
  expect([...reasons].sort()).toEqual(['slow', 'too_large', 'trimmed', 'unreadable']);
  const followed = new Set(subjects.flatMap(({ client }) => [...client.followed.keys()]));
  for (const name of ['recovered', 'otherEpoch', 'resync', 'reconnect', 'again'] as const)
    expect(followed).toContain(name);
  for (const [what, control] of Object.entries(controls))
    expect(
      control.flatMap((subject) => subject.faults(publisher)),
      what,
    ).not.toEqual([]);
}, 120_000);
