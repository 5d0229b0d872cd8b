import { parentPort, workerData } from 'node:worker_threads';
import { createLogger, createMetrics } from '@tradewind/runtime';
import { ClientListener } from './node/client-listener.ts';
import { ConnectionCount } from './node/connection-count.ts';
import { openIdentity } from './node/identity.ts';
import { offeredRights } from './node/worker-settings.ts';
import { registerLoopGauges } from './telemetry/gauges.ts';
import { createKeyEvents } from './telemetry/identity-events.ts';
import type { FromWorker, ToWorker, WorkerStart } from './threads/worker-messages.ts';
import { WorkerPort } from './threads/worker-port.ts';

/** Time between two signs of life of a worker, in ms. */
const ALIVE_INTERVAL_MS = 1_000;

if (parentPort === null) throw new Error('worker-main.ts runs in a worker thread only');
const port = parentPort;
const start = workerData as WorkerStart;
const { config, tls, port: sharedPort, slot, connectionMemory } = start;

const metrics = createMetrics({ withDefaults: false });
const endLoopGauges = registerLoopGauges(metrics);
const logger = createLogger({ name: 'edge', level: config.logLevel }).child({
  node: config.nodeId,
  worker: slot,
});
const identity = await openIdentity(config, offeredRights(config), {
  ...createKeyEvents(logger),
  unknownKey: () => post({ kind: 'unknown-key' }),
});
for (const update of start.identity) identity?.update(update);
let feed: WorkerPort | undefined;
const clientListener = new ClientListener({
  config,
  logger,
  metrics,
  connectionCount: new ConnectionCount(connectionMemory, slot),
  identity,
  tls,
  connect(listener) {
    feed = new WorkerPort((calls, consumedBytes) => {
      post({ kind: 'feed-calls', calls, consumedBytes });
    }, listener);
    return feed;
  },
});
const hurry = new AbortController();
const alive = setInterval(
  () => post({ kind: 'alive', reading: clientListener.read() }),
  ALIVE_INTERVAL_MS,
);

port.on('message', (message: ToWorker) => {
  void handle(message);
});
await clientListener.listen(config.host, sharedPort, true);
post({ kind: 'listening' });

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'feed':
      feed?.makeCalls(message.buffers);
      break;
    case 'readiness':
      clientListener.setReadiness(message.readiness);
      break;
    case 'identity':
      clientListener.updateIdentity(message.update);
      break;
    case 'tls':
      clientListener.setTls(message.credentials);
      break;
    case 'drain':
      await clientListener.drain(message.windowMs, hurry.signal);
      post({ kind: 'drained' });
      break;
    case 'hurry':
      hurry.abort();
      break;
    case 'shed':
      await clientListener.shed(message.count, message.windowMs);
      break;
    case 'request': {
      const { request, about } = message;
      const { sessionsOf, forPages } = typeof about === 'object' ? about : {};
      post({
        kind: 'answer',
        request,
        metrics: about === 'metrics' ? await clientListener.metrics() : undefined,
        index: about === 'index' ? clientListener.describe() : undefined,
        sessions:
          sessionsOf === undefined ? undefined : await clientListener.sessionsOf(sessionsOf),
        forPages: forPages === undefined ? undefined : await clientListener.answer(forPages),
      });
      break;
    }
    case 'stop':
      clearInterval(alive);
      endLoopGauges();
      identity?.stop();
      feed?.close();
      await clientListener.stop();
      port.close();
      break;
  }
}

function post(message: FromWorker): void {
  port.postMessage(message);
}
