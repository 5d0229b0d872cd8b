import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REDIS_STATES, type RedisState, replyCode, stateOfReply } from './redis-states.ts';

const RUNBOOK = new URL('../../../docs/runbook.md', import.meta.url);

/** What the runbook's table says of a state, before what to do. */
function rowOf({ says, state, reads, writes, delivers, link, waitMs, lasts }: RedisState): string {
  const cells = [`\`${says}\``, state, reads, writes, delivers, link, `${waitMs / 1_000} s`, lasts];
  return `| ${cells.join(' | ')} |`;
}

describe('REDIS_STATES', () => {
  it('has one row for each thing that Redis says', () => {
    const words = REDIS_STATES.map(({ says }) => says);
    expect(new Set(words).size).toBe(words.length);
  });

  it.each(REDIS_STATES)('never gives up a link that delivers for the answer $says', (state) => {
    if (state.delivers !== 'no') expect(['stay', 'leave']).toContain(state.link);
    if (state.link === 'leave') expect(state.lasts).toBe('passing');
  });

  it('is what the runbook lists, each with what to do', () => {
    const [, table = ''] = readFileSync(RUNBOOK, 'utf8').split('\n### What Redis says\n');
    const lines = table.split('\n## ')[0]?.split('\n') ?? [];
    const rows = lines.filter((line) => /^\| `/.test(line));
    const expected = REDIS_STATES.map(rowOf);
    expect(rows.map((row, i) => row.slice(0, expected[i]?.length))).toEqual(expected);
    for (const [i, row] of rows.entries())
      expect(row.slice(expected[i]?.length), row).toMatch(/^ .{10,} \|$/);
  });
});

describe('stateOfReply', () => {
  it.each([
    ['MISCONF Redis is configured to save RDB snapshots, but it is unable to', 'MISCONF'],
    ['OOM command not allowed when used memory > maxmemory.', 'OOM'],
    ['@user_script: 108: -OOM command not allowed', 'OOM'],
    ['-LOADING Redis is loading the dataset in memory', 'LOADING'],
    ['ERR max number of clients reached', 'ERR max number of clients'],
    ["ERR unknown command 'XRANGE'", 'ERR'],
    ['TWMETA {a}:meta must hold epoch:offset', 'ERR'],
    ['something without a code', 'ERR'],
  ])('takes %j for %s', (reply, says) => {
    expect(stateOfReply(reply).says).toBe(says);
  });

  it('leaves the code of a reply without a row to it', () => {
    expect(replyCode('TWMETA {a}:meta must hold epoch:offset')).toBe('TWMETA');
  });
});
