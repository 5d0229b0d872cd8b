import { describeFeed } from '../feed.contract.ts';
import { openHubFeed } from './testing/hub-feed-under-test.ts';

describeFeed('the feed of a hub', () =>
  openHubFeed((hub, listener) => {
    const feed = hub.connect(listener);
    return { feed, close: () => feed.close() };
  }),
);
