// Measures what the SDK costs its program, without a network, and prints it as JSON. Started by `runSdkCost`, with its flags.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Channel, type Client, connect, type WebSocketConstructor } from '@tradewind/client';
import { median } from '../figures/ratio.ts';
import type { ChannelsCost, ConsumersCost, SdkCost, SdkLoad } from './sdk-cost.ts';

/** Frames that one turn of the event loop brings: a socket that is busy gives several at once. */
const FRAMES_PER_TURN = 64;

const LIMITS = {
  maxMessageBytes: 32_768,
  maxChannels: 20_000,
  maxChannelsPerRequest: 128,
  maxHistory: 1_000,
  maxPublicationBytes: 65_536,
};

const EPOCH = 'k3x9';

interface Asked {
  readonly type: string;
  readonly id: number;
  readonly channels: readonly (string | { readonly channel: string })[];
}

/** A node without a network: it confirms every channel, each request in a turn of its own. */
class StubSocket {
  static latest: StubSocket;
  static requests = 0;
  static largestRequestBytes = 0;
  readyState = 1;
  readonly #listeners = new Map<string, (event: object) => void>();

  constructor() {
    StubSocket.latest = this;
    setImmediate(() => {
      this.tell({
        ...{ type: 'welcome', session: 's1', node: 'bench', serverTime: Date.now() },
        ...{ protocol: 'tradewind.v1.json', auth: 'none', limits: LIMITS },
        heartbeat: { clientPingMs: 20_000, timeoutMs: 10_000 },
      });
    });
  }

  addEventListener(type: string, listener: (event: object) => void): void {
    this.#listeners.set(type, listener);
  }

  send(text: string): void {
    const { type, id, channels } = JSON.parse(text) as Asked;
    if (type !== 'subscribe') return;
    StubSocket.requests += 1;
    StubSocket.largestRequestBytes = Math.max(StubSocket.largestRequestBytes, text.length);
    const answers = channels.map((each) => ({
      channel: typeof each === 'string' ? each : each.channel,
      ...{ ref: 1, epoch: EPOCH, offset: 0, recovered: typeof each !== 'string' },
    }));
    setImmediate(() => {
      this.tell({ type: 'subscribed', id, channels: answers, rejected: [], done: true });
    });
  }

  close(): void {
    this.readyState = 3;
    this.#listeners.get('close')?.({ code: 1000 });
  }

  /** The node is lost. */
  die(): void {
    this.readyState = 3;
    this.#listeners.get('close')?.({ code: 1006 });
  }

  tell(message: object): void {
    this.tellText(JSON.stringify(message));
  }

  tellText(data: string): void {
    this.#listeners.get('message')?.({ data });
  }
}

function stubbedClient(): Client {
  return connect('ws://127.0.0.1/ws', {
    webSocket: StubSocket as unknown as WebSocketConstructor,
    backoff: { firstMs: 1, maxMs: 1 },
  });
}

/** Makes the frames of publications from an offset on, as an edge sends them. */
function framesFrom(offset: number, count: number, payloadBytes: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => {
    const trade = {
      ...{ id: String(900_000_000 + i), symbol: 'BTCUSDT', price: '64123.50', side: 'buy' },
      ...{ quantity: '0.01250000', tradedAt: 1_796_000_000_000 + i, pad: '' },
    };
    trade.pad = 'x'.repeat(Math.max(0, payloadBytes - JSON.stringify(trade).length));
    const envelope = { channel: 'BTC.trade', offset: offset + i, ts: 1_796_000_000_000 + i };
    return JSON.stringify({ seq: offset + i, ...envelope, data: trade });
  });
}

/** CPU time of the process, which others that want the core do not add to. */
function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

type Consume = (channel: Channel<unknown>, took: () => void) => void;

const listen: Consume = (channel, took) => void channel.subscribe(took);

const iterate: Consume = async (channel, took) => {
  for await (const _ of channel) took();
};

/** CPU time of one publication in µs, the median over rounds. The first round is a warm-up that is not counted. */
async function measureConsumers(
  { publications, payloadBytes, rounds }: SdkLoad,
  consumers: number,
  consume: Consume,
): Promise<number> {
  const client = stubbedClient();
  const channel = client.channel('BTC.trade');
  let taken = 0;
  for (let i = 0; i < consumers; i += 1) consume(channel, () => (taken += 1));
  while (channel.state.name !== 'live') await nextTurn();
  const socket = StubSocket.latest;
  const costs: number[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const from = (round + 1) * publications + 1;
    const frames = framesFrom(from, publications, payloadBytes);
    const startedAt = cpuMicroseconds();
    for (let i = 0; i < publications; i += FRAMES_PER_TURN) {
      for (const frame of frames.slice(i, i + FRAMES_PER_TURN)) socket.tellText(frame);
      await nextTurn();
    }
    if (round >= 0) costs.push((cpuMicroseconds() - startedAt) / publications);
  }
  const expected = (rounds + 1) * publications * consumers;
  if (taken !== expected) throw new Error(`${taken} were taken instead of ${expected}`);
  await client.close();
  return median(costs);
}

/** What any program pays that reads the frames, in µs of CPU time. */
async function measureParser({ publications, payloadBytes, rounds }: SdkLoad): Promise<number> {
  const costs: number[] = [];
  let sum = 0;
  for (let round = -1; round < rounds; round += 1) {
    const frames = framesFrom(1, publications, payloadBytes);
    const startedAt = cpuMicroseconds();
    for (let i = 0; i < publications; i += FRAMES_PER_TURN) {
      for (const frame of frames.slice(i, i + FRAMES_PER_TURN)) sum += JSON.parse(frame).offset;
      await nextTurn();
    }
    if (round >= 0) costs.push((cpuMicroseconds() - startedAt) / publications);
  }
  if (sum === 0) throw new Error('nothing was parsed');
  return median(costs);
}

const ignore = (): void => {};

/** Subscribes to many channels, loses the node, and has them again on the next one. */
async function measureChannels(count: number): Promise<ChannelsCost> {
  const names = Array.from({ length: count }, (_, i) => `SYMBOL-${i}.trade`);
  const client = stubbedClient();
  const heapBytes = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = heapBytes();
  const channels = names.map((name) => client.channel(name));
  let turnedAt = cpuMicroseconds();
  let longestMs = 0;
  const turn = async (): Promise<void> => {
    await nextTurn();
    const now = cpuMicroseconds();
    longestMs = Math.max(longestMs, (now - turnedAt) / 1_000);
    turnedAt = now;
  };
  const untilLive = async (): Promise<void> => {
    turnedAt = cpuMicroseconds();
    while (channels.some(({ state }) => state.name !== 'live')) await turn();
  };
  turnedAt = cpuMicroseconds();
  for (const channel of channels) channel.subscribe(ignore);
  await turn();
  await untilLive();
  const heldBytes = heapBytes() - before;
  StubSocket.requests = 0;
  turnedAt = cpuMicroseconds();
  StubSocket.latest.die();
  await turn();
  await untilLive();
  const { requests, largestRequestBytes } = StubSocket;
  await client.close();
  return { channels: count, heldBytes, longestMs, requests, largestRequestBytes };
}

const load = JSON.parse(process.argv[2] ?? '{}') as SdkLoad;
const consumers: ConsumersCost[] = [
  { consumers: 'JSON.parse alone', us: await measureParser(load) },
];
for (const [name, consume] of [
  ['listener', listen],
  ['iterator', iterate],
] as const) {
  for (const count of [1, 10]) {
    const us = await measureConsumers(load, count, consume);
    consumers.push({ consumers: `${count} ${name}${count > 1 ? 's' : ''}`, us });
  }
}
const cost: SdkCost = { consumers, ...(await measureChannels(load.channels)) };
console.log(JSON.stringify(cost));
