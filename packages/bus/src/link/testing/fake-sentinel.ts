import { type FakeRedis, startFakeRedis } from './fake-redis.ts';

/** What a fake Sentinel says; `hangs`: nothing at all. */
export interface FakeWord {
  readonly host: string;
  readonly port: number;
  readonly epoch: number;
  readonly hangs?: boolean;
}

/** A fake Sentinel, whose word may be changed; for this package's own tests. */
export interface FakeSentinel extends AsyncDisposable {
  word: FakeWord | undefined;
  /** `host:port`. */
  readonly address: string;
  readonly server: FakeRedis;
}

/** Starts a fake Sentinel; without a word it knows no master. */
export async function startFakeSentinel(word: FakeWord | undefined): Promise<FakeSentinel> {
  const server = await startFakeRedis(([name, question]) => {
    if (sentinel.word?.hangs === true) return '';
    if (name?.toLowerCase() !== 'sentinel') return undefined;
    if (sentinel.word === undefined)
      return question === 'MASTER' ? '-ERR No such master with that name\r\n' : '*-1\r\n';
    const { host, port, epoch } = sentinel.word;
    return question === 'MASTER'
      ? array('name', 'trades', 'config-epoch', String(epoch))
      : array(host, String(port));
  });
  const sentinel: FakeSentinel = {
    word,
    address: server.url.replace('redis://', ''),
    server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  return sentinel;
}

function array(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}
