import { MessageChannel } from 'node:worker_threads';
import { describeDeflating, describeFeed } from '../hub/testing/feed.contract.ts';
import { openHubFeed } from '../hub/testing/hub-feed-under-test.ts';
import { HubPort } from './hub-port.ts';
import type { FeedCall } from './worker-messages.ts';
import { WorkerPort } from './worker-port.ts';

interface Posted {
  readonly calls: readonly FeedCall[];
  readonly consumedBytes: number;
}

const open = () =>
  openHubFeed((hub, listener) => {
    const { port1: hubSide, port2: workerSide } = new MessageChannel();
    const hubEnd = new HubPort({
      post: (buffers) =>
        hubSide.postMessage(
          buffers,
          buffers.map(({ buffer }) => buffer),
        ),
      connect: (port) => hub.connect(port),
      hasHistory: true,
    });
    const workerEnd = new WorkerPort(
      (calls, consumedBytes) => workerSide.postMessage({ calls, consumedBytes }),
      listener,
    );
    workerSide.on('message', (buffers: readonly Uint8Array<ArrayBuffer>[]) =>
      workerEnd.makeCalls(buffers),
    );
    hubSide.on('message', ({ calls, consumedBytes }: Posted) => {
      for (const call of calls) hubEnd.handle(call);
      hubEnd.confirmBytes(consumedBytes);
    });
    return {
      feed: workerEnd,
      close() {
        workerEnd.close();
        hubEnd.close();
        hubSide.close();
      },
    };
  });

describeFeed('the feed across a port', open);
describeDeflating('the feed across a port', open);
