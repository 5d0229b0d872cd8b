import { parentPort, workerData } from 'node:worker_threads';
import { createLogger, createMetrics } from '@tradewind/runtime';
import { FanOutHost } from './node/client-listener.ts';
import { ConnectionCount } from './node/connection-count.ts';
import { registerLoopGauges } from './telemetry/gauges.ts';
import type { FromWorker, ToWorker, WorkerStart } from './threads/worker-messages.ts';
import { PortFeed } from './threads/worker-port.ts';

/** How often a worker shows that its loop turns, in ms. */
const ALIVE_INTERVAL_MS = 1_000;

if (parentPort === null) throw new Error('worker-main.ts runs in a worker thread only');
const port = parentPort;
const { config, port: sharedPort, slot, connectionMemory } = workerData as WorkerStart;

const metrics = createMetrics({ withDefaults: false });
const endLoopGauges = registerLoopGauges(metrics);
let feed: PortFeed | undefined;
const host = new FanOutHost({
  config,
  logger: createLogger({ name: 'edge', level: config.logLevel }).child({
    node: config.nodeId,
    worker: slot,
  }),
  metrics,
  connectionCount: new ConnectionCount(connectionMemory, slot),
  connect(listener) {
    feed = new PortFeed((changes, consumedBytes) => {
      post({ kind: 'interest', changes, consumedBytes });
    }, listener);
    return feed;
  },
});
const hurry = new AbortController();
const alive = setInterval(() => post({ kind: 'alive' }), ALIVE_INTERVAL_MS);

port.on('message', (message: ToWorker) => {
  void handle(message);
});
await host.listen(config.host, sharedPort, true);
post({ kind: 'listening' });

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'feed':
      feed?.receive(message.buffers);
      break;
    case 'readiness':
      host.setReadiness(message.readiness);
      break;
    case 'drain':
      await host.drain(message.windowMs, hurry.signal);
      post({ kind: 'drained' });
      break;
    case 'hurry':
      hurry.abort();
      break;
    case 'shed':
      await host.shed(message.count, message.windowMs);
      break;
    case 'ask': {
      const { question, about } = message;
      const asksForMetrics = about === 'metrics';
      post({
        kind: 'answer',
        question,
        metrics: asksForMetrics ? await host.metrics() : undefined,
        index: asksForMetrics ? undefined : host.describe(),
      });
      break;
    }
    case 'stop':
      clearInterval(alive);
      endLoopGauges();
      feed?.close();
      await host.stop();
      port.close();
      break;
  }
}

function post(message: FromWorker): void {
  port.postMessage(message);
}
