import { type Load, startLoad } from '../../../bench/load/clients/load.ts';
import type { LoadPlan } from '../../../bench/load/clients/load-plan.ts';
import type { TestEdge } from '../services/service.ts';

/** The settings of a test's readers; the other settings of a load do not matter to it. */
export type ReadersPlan = Pick<LoadPlan, 'connections' | 'channels' | 'mode'> &
  Partial<Pick<LoadPlan, 'channelsPerClient'>>;

/** Connections a second. At 3,000 a busy machine falls so far behind that one of ten is closed before it is admitted. */
const RAMP_PER_SECOND = 1_000;

/**
 * Connects many clients in one process. They read as fast as they can and are counted instead of recorded. Rejects if
 * one of them is not subscribed. The caller ends them.
 */
export async function connectReaders(edge: TestEdge, plan: ReadersPlan): Promise<Load> {
  await using stack = new AsyncDisposableStack();
  const load = stack.use(
    await startLoad({
      urls: [edge.wsUrl],
      dialect: { kind: 'tradewind' },
      rampPerSecond: RAMP_PER_SECOND,
      channelsPerClient: 1,
      seed: 1,
      sampleEvery: 1,
      reading: { slow: 0, stalled: 0 },
      slowBytesPerSecond: 1,
      stallAfterMs: 0,
      connectionsPerProcess: plan.connections,
      cores: [],
      polls: false,
      ...plan,
    }),
  );
  await load.connect();
  const { open, failed, disconnected } = await load.sample();
  if (open !== plan.connections) {
    throw new Error(`${open} are subscribed: ${JSON.stringify({ failed, disconnected })}`);
  }
  stack.move();
  return load;
}
