import { bringRedisServer, findFreePort, startRedisServer } from '@tradewind/dev';
import { moveToCore } from './cores.ts';

/** A Redis that nobody else uses. Its owner ends it. */
export interface BenchRedis extends AsyncDisposable {
  readonly url: string;
}

/** Starts a Redis that keeps nothing on disk, on one core. */
export async function startBenchRedis(
  core: number,
  report: (line: string) => void,
): Promise<BenchRedis> {
  const port = await findFreePort();
  const program = await bringRedisServer(report);
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedisServer({ program, port, args: [] }));
  await moveToCore(server.pid, core);
  const owned = stack.move();
  return {
    url: `redis://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
