// A child process that holds clients of the latest. Started by measureLatest, in latest.ts.
import { once } from 'node:events';
import { LatencyHistogram } from '@tradewind/dev';
import { WebSocket } from 'ws';
import { serveCalls } from '../../load/processes/child-calls.ts';
import { nowMicros } from '../../load/processes/clock.ts';
import { readSentTime } from '../../load/wire/sent-time.ts';
import type { LatestCalls, LatestClientsPlan, LatestReceived } from './latest.ts';

/** Clients that connect at a time. */
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

  constructor(socket: WebSocket, ages: LatencyHistogram) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const head = (data as Buffer).subarray(0, HEAD_BYTES);
      const sent = readSentTime(head);
      if (sent === undefined) return;
      this.received += 1;
      this.skipped += Number(SKIPPED.exec(head.toString('latin1'))?.[1] ?? 0);
      if (sent <= this.#lastSent) this.disordered += 1;
      this.#lastSent = sent;
      ages.record(Math.max(0, nowMicros() - sent));
    });
  }

  end(): void {
    this.#socket.terminate();
  }
}

let clients: LatestClient[] = [];
let ages = new LatencyHistogram();

async function connectOne({ url, channel, everyMs }: LatestClientsPlan): Promise<LatestClient> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'message');
  const latest = everyMs === undefined ? {} : { latest: { everyMs } };
  socket.send(JSON.stringify({ type: 'subscribe', channels: [{ channel, ...latest }] }));
  const [answer] = (await once(socket, 'message')) as [Buffer];
  const wanted = everyMs === undefined ? '"done":true' : `"latest":{"everyMs":${everyMs}}`;
  if (!String(answer).includes(wanted)) throw new Error(String(answer));
  return new LatestClient(socket, ages);
}

serveCalls<LatestCalls>({
  async connect(plan) {
    for (let made = 0; made < plan.clients; made += AT_A_TIME) {
      const count = Math.min(AT_A_TIME, plan.clients - made);
      clients.push(...(await Promise.all(Array.from({ length: count }, () => connectOne(plan)))));
    }
  },
  disconnect() {
    for (const client of clients) client.end();
    clients = [];
    ages = new LatencyHistogram();
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
