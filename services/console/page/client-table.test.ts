import { expect, it } from 'vitest';
import { conditionOf } from './client-table.tsx';

const CLIENT = {
  ...{ node: 'edge-1', session: 's', network: '', openedAt: 0, channels: 1, queue: 0 },
  ...{ stalledMs: 0, isBehind: false, ignoredRequests: 0 },
};

it('says that a client reads nothing from one second on, as edges do', () => {
  expect(conditionOf({ ...CLIENT, stalledMs: 999 }).word).toBe('keeps up');
  expect(conditionOf({ ...CLIENT, stalledMs: 999, queue: 40 }).tone).toBe('warn');
  expect(conditionOf({ ...CLIENT, stalledMs: 1_000 }).tone).toBe('bad');
});
