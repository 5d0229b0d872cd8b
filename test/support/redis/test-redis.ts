/** A Redis of one test, and the faults that can happen to it. Address and port never change. */
export interface TestRedis extends AsyncDisposable {
  readonly kind: 'container' | 'process';
  readonly url: string;
  readonly host: string;
  readonly port: number;
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
