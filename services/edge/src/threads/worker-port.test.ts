import { MessageChannel } from 'node:worker_threads';
import { describeFeed } from '../feed.contract.ts';
import { openHubFeed } from '../hub/testing/hub-feed-under-test.ts';
import { HubPort } from './hub-port.ts';
import type { InterestChange } from './worker-messages.ts';
import { WorkerPort } from './worker-port.ts';

interface Interest {
  readonly changes: readonly InterestChange[];
  readonly consumedBytes: number;
}

describeFeed('the feed across a port', () =>
  openHubFeed((hub, listener) => {
    const { port1: hubSide, port2: workerSide } = new MessageChannel();
    const hubEnd = new HubPort({
      post: (buffers) =>
        hubSide.postMessage(
          buffers,
          buffers.map(({ buffer }) => buffer),
        ),
      history: {
        readHistory: (channel, from) => hubFeed.readHistory(channel, from),
        fillIn: (channel, from) => hubFeed.fillIn(channel, from),
      },
    });
    const hubFeed = hub.connect(hubEnd);
    const workerEnd = new WorkerPort(
      (changes, consumedBytes) => workerSide.postMessage({ changes, consumedBytes }),
      listener,
    );
    workerSide.on('message', (buffers: readonly Uint8Array<ArrayBuffer>[]) =>
      workerEnd.receive(buffers),
    );
    hubSide.on('message', ({ changes, consumedBytes }: Interest) => {
      for (const [channel, declaration, from, others] of changes) {
        if (from !== undefined) {
          hubEnd.requestHistory(channel, from);
          continue;
        }
        hubEnd.setDeclaration(channel, declaration);
        if (declaration === undefined) hubFeed.drop(channel);
        else hubFeed.declare(channel, others);
      }
      hubEnd.confirmBytes(consumedBytes);
    });
    return {
      feed: workerEnd,
      close() {
        workerEnd.close();
        hubFeed.close();
        hubEnd.close();
        hubSide.close();
      },
    };
  }),
);
