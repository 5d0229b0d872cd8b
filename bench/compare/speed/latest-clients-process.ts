// A child process that holds clients of the latest. Started by measureLatest, in latest.ts.
import { once } from 'node:events';
import { LatencyHistogram } from '@tradewind/dev';
import { WebSocket } from 'ws';
import { Poller } from '../../load/clients/poller.ts';
import { serveCalls } from '../../load/processes/child-calls.ts';
import { nowMicros } from '../../load/processes/clock.ts';
import { readSentTime } from '../../load/wire/sent-time.ts';
import type { LatestCalls, LatestReceived, LatestSubscription } from './latest.ts';

/** Clients that connect or ask at a time. */
const AT_A_TIME = 50;

const SKIPPED = /"skipped":(\d+)/;

/** The part of a frame in front of its payload, and the beginning of that. */
const HEAD_BYTES = 256;

class LatestClient {
  received = 0;
  skipped = 0;
  disordered = 0;
  readonly #socket: WebSocket;
  #lastSent = 0;
  #answered = Promise.withResolvers<string>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      poller.came();
      const head = (data as Buffer).subarray(0, HEAD_BYTES);
      const sent = readSentTime(head);
      if (sent === undefined) {
        this.#answered.resolve(String(data));
        return;
      }
      this.received += 1;
      this.skipped += Number(SKIPPED.exec(head.toString('latin1'))?.[1] ?? 0);
      if (sent <= this.#lastSent) this.disordered += 1;
      this.#lastSent = sent;
      ages.record(Math.max(0, nowMicros() - sent));
    });
    socket.on('close', (code) => this.#answered.resolve(`closed with ${code}`));
  }

  async subscribe({ channel, everyMs }: LatestSubscription): Promise<void> {
    Object.assign(this, { received: 0, skipped: 0, disordered: 0 });
    this.#lastSent = 0;
    const latest = everyMs === undefined ? {} : { latest: { everyMs } };
    const request = { type: 'subscribe', channels: [{ channel, ...latest }] };
    const wanted = everyMs === undefined ? '"done":true' : `"latest":{"everyMs":${everyMs}}`;
    await this.#ask(request, wanted);
  }

  async unsubscribe({ channel }: LatestSubscription): Promise<void> {
    await this.#ask({ type: 'unsubscribe', channels: [channel] }, '"type":"unsubscribed"');
  }

  /** Resolves once the next control frame has come. Rejects if it does not contain this text, or if the connection ends before. */
  async #ask(request: object, wanted: string): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error('the connection has ended');
    this.#answered = Promise.withResolvers<string>();
    this.#socket.send(JSON.stringify(request));
    const answer = await this.#answered.promise;
    if (!answer.includes(wanted)) throw new Error(answer);
  }
}

// As with the clients that want all: it costs a server on the same machine more to wake a reader than to write to it.
const poller = new Poller();
let ages = new LatencyHistogram();
const clients: LatestClient[] = [];

async function connectOne(url: string): Promise<LatestClient> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'message');
  return new LatestClient(socket);
}

async function forEachClient(act: (client: LatestClient) => Promise<void>): Promise<void> {
  for (let done = 0; done < clients.length; done += AT_A_TIME) {
    await Promise.all(clients.slice(done, done + AT_A_TIME).map(act));
  }
}

serveCalls<LatestCalls>({
  async connect({ url, count }) {
    while (clients.length < count) {
      const some = Math.min(AT_A_TIME, count - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: some }, () => connectOne(url)))));
    }
  },
  async subscribe(subscription) {
    ages = new LatencyHistogram();
    await forEachClient((client) => client.subscribe(subscription));
  },
  async unsubscribe(subscription) {
    await forEachClient((client) => client.unsubscribe(subscription));
  },
  received(): LatestReceived {
    const counts = clients.map(({ received }) => received);
    const accounted = clients.map(({ received, skipped }) => received + skipped);
    return {
      least: Math.min(...counts),
      most: Math.max(...counts),
      leastAccounted: Math.min(...accounted),
      mostAccounted: Math.max(...accounted),
      disordered: clients.reduce((sum, { disordered }) => sum + disordered, 0),
      age: ages.percentiles(),
    };
  },
});
