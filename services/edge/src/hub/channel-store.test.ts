import {
  type EpochStart,
  RedisRefusedError,
  RedisUnavailableError,
  UnexpectedReplyError,
} from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createChannelStore } from './channel-store.ts';

interface Answers {
  readonly epochs?: EpochStart[];
  readonly servers?: readonly [string | undefined, string | undefined];
}

function storeOf({ epochs = [], servers = [undefined, undefined] }: Answers) {
  const [subscribers, commands] = servers;
  const expected: (string | undefined)[] = [];
  const store = createChannelStore(
    {
      readHistory: async () => ({ position: undefined, publications: [], entries: 0, last: 0 }),
      async startEpoch(_channel, epoch) {
        expected.push(epoch);
        return epochs.shift()!;
      },
      serverIdentity: async () => commands,
    },
    { readPositions: async () => [], serverIdentity: async () => subscribers },
  );
  return { store, expected };
}

describe('createChannelStore', () => {
  it.each([
    [new RedisUnavailableError('unknown', 'the link was lost'), 'passing'],
    ...['LOADING Redis is loading', 'BUSY a script', 'READONLY replica', 'MASTERDOWN x'].map(
      (reply) => [new RedisRefusedError(reply), 'passing'] as const,
    ),
    ...[
      'NOPERM no',
      'TWMETA x',
      'WRONGTYPE x',
      'OOM command not allowed',
      "ERR unknown command 'XRANGE'",
    ].map((reply) => [new RedisRefusedError(reply), 'lasting'] as const),
    [new UnexpectedReplyError('x'), 'lasting'],
    [new TypeError('undefined is not a function'), undefined],
  ] as const)('takes %s for %s', (error, fault) => {
    expect(storeOf({}).store.faultOf(error)).toBe(fault);
  });

  it.each([
    [['a', 'a'], true],
    [['a', 'b'], false],
    [[undefined, 'b'], true],
    [['a', undefined], true],
  ] as const)('says whether the servers %j are the same: %s', async (servers, agree) => {
    expect(await storeOf({ servers }).store.linksAgree()).toBe(agree);
  });

  it('starts a new epoch, unless there is another one', async () => {
    const ours = { changed: true, epoch: 'F', offset: 3 };
    expect(await storeOf({ epochs: [ours] }).store.startEpoch('a', 'E')).toBe(true);
    const theirs = { ...ours, changed: false };
    expect(await storeOf({ epochs: [theirs] }).store.startEpoch('a', 'E')).toBe(false);
  });

  it('starts one from nothing where the epoch that had to be replaced has vanished', async () => {
    const gone = { changed: false, epoch: '', offset: 0 };
    const epochs = [gone, { changed: true, epoch: 'F', offset: 0 }];
    const { store, expected } = storeOf({ epochs });
    expect(await store.startEpoch('a', 'E')).toBe(true);
    expect(expected).toEqual(['E', undefined]);
  });
});
