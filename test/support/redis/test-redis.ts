import type { RedisCluster } from './redis-cluster.ts';

/** How a Redis is reached: one, or a cluster. */
export type RedisPlace = Pick<TestRedis, 'url' | 'cluster'>;

/** A Redis of one test, and the faults that can happen to it. Address and port never change. */
export interface TestRedis extends AsyncDisposable {
  readonly kind: 'container' | 'process';
  /** Of all nodes, if it is a cluster. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Its nodes, if it is a cluster; `host` and `port` are those of the first one then, and faults happen to all of them. */
  readonly cluster?: RedisCluster;
  /** Dies at once, as by SIGKILL; its data is gone. */
  kill(): Promise<void>;
  /** Kills it if it still runs, then starts it again, empty, on the same port. */
  restart(): Promise<void>;
  /** Stops it with every connection left open, like a stuck machine. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it permanently; may be called more than once. */
  stop(): Promise<void>;
}
