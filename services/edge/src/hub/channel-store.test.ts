import {
  type EpochStart,
  RedisRefusedError,
  RedisUnavailableError,
  UnexpectedReplyError,
} from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createArchive } from './channel-store.ts';

interface Answers {
  readonly epochs?: EpochStart[];
  readonly servers?: readonly [string | undefined, string | undefined];
}

function archiveOf({ epochs = [], servers = [undefined, undefined] }: Answers) {
  const [subscribers, commands] = servers;
  const expected: (string | undefined)[] = [];
  const archive = createArchive(
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
  return { archive, expected };
}

describe('the archive in Redis', () => {
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
    expect(archiveOf({}).archive.faultOf(error)).toBe(fault);
  });

  it.each([
    [['a', 'a'], true],
    [['a', 'b'], false],
    [[undefined, 'b'], true],
    [['a', undefined], true],
  ] as const)('says whether the servers %j are the same: %s', async (servers, agree) => {
    expect(await archiveOf({ servers }).archive.linksAgree()).toBe(agree);
  });

  it('begins a new epoch, unless there is another one', async () => {
    const ours = { changed: true, epoch: 'F', offset: 3 };
    expect(await archiveOf({ epochs: [ours] }).archive.startEpoch('a', 'E')).toBe(true);
    const theirs = { ...ours, changed: false };
    expect(await archiveOf({ epochs: [theirs] }).archive.startEpoch('a', 'E')).toBe(false);
  });

  it('begins one from nothing where what was to be replaced has vanished', async () => {
    const gone = { changed: false, epoch: '', offset: 0 };
    const epochs = [gone, { changed: true, epoch: 'F', offset: 0 }];
    const { archive, expected } = archiveOf({ epochs });
    expect(await archive.startEpoch('a', 'E')).toBe(true);
    expect(expected).toEqual(['E', undefined]);
  });
});
