import { bringRedisServer, findFreePort, startRedisServer } from '@tradewind/dev';
import { moveToCore } from './cores.ts';

/** A Redis that only one benchmark uses. Its owner ends it. */
export interface BenchRedis extends AsyncDisposable {
  readonly url: string;
}

/** Starts a Redis on one core that writes nothing to disk. */
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
