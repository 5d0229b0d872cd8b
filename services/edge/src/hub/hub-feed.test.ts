import { describeDeflating, describeFeed } from './testing/feed.contract.ts';
import { openHubFeed } from './testing/hub-feed-under-test.ts';

const open = () =>
  openHubFeed((hub, listener) => {
    const feed = hub.connect(listener);
    return { feed, close: () => feed.close() };
  });

describeFeed('the feed of a hub', open);
describeDeflating('the feed of a hub', open);
