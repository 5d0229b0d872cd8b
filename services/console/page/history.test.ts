import { expect, it } from 'vitest';
import type { Snapshot } from '../src/fleet/fleet.ts';
import { FleetHistory } from '../src/fleet/fleet-history.ts';
import { beginHistory, continueHistory, seconds, showHistory } from './history.ts';

it('draws nothing for a second that the console did not see', () => {
  const history = new FleetHistory();
  beginHistory({ ...history.columns(), at: 100_000 });
  const point = { clients: 7 };
  const told = (at: number, isSeen: boolean) =>
    continueHistory({ at, isSeen, point, minute: history.newestMinute } as Snapshot);
  told(101_000, true);
  told(102_000, false);
  told(103_000, true);
  showHistory();
  expect(seconds.value.at?.slice(-3)).toEqual([101, 102, 103]);
  expect(seconds.value.clients?.slice(-3)).toEqual([7, null, 7]);
});
