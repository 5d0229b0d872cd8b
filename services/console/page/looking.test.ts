import { expect, it } from 'vitest';
import { toggleFreeze } from './freeze.ts';
import { channelNodes, lookAt, openClient, takeAnswer } from './looking.ts';

const POSITION = {
  ...{ node: 'edge-1', rate: 1, subscribers: 1, ageMs: 0 },
  ...{ epoch: 'e', offset: 7, state: 'live' as const },
};

it('shows nothing of what it looked at before it looked elsewhere, when it goes on', () => {
  lookAt({ channel: 'BTC' });
  toggleFreeze();
  takeAnswer({ kind: 'channel', channel: 'BTC', nodes: [{ ...POSITION, channel: 'BTC' }] });
  lookAt({ channel: 'ETH' });
  toggleFreeze();
  expect(channelNodes.value).toBeUndefined();

  lookAt({ session: 'one' });
  toggleFreeze();
  takeAnswer({ kind: 'clients', text: 'one', clients: [] });
  lookAt({ session: 'other' });
  toggleFreeze();
  expect(openClient.value).toBeUndefined();
});
