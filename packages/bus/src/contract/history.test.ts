import { describe, expect, it } from 'vitest';
import { readHistoryReply } from './history.ts';

const entry = (id: string, ...fields: (string | Buffer)[]) => [
  Buffer.from(id),
  fields.map((field) => Buffer.from(field)),
];

describe('readHistoryReply', () => {
  it('reads positions and payloads byte for byte', () => {
    const bytes = Buffer.from([0xff, 0x00, 0x0d, 0x0a]);
    expect(readHistoryReply(Buffer.from('k3:8'), [entry('8-0', 't', '1795', 'p', bytes)])).toEqual({
      position: { epoch: 'k3', offset: 8 },
      publications: [{ offset: 8, publishedAt: 1795, payload: bytes }],
      ...{ entries: 1, last: 8 },
    });
  });

  it('takes a missing log for an empty one, and a missing or broken meta for none', () => {
    for (const meta of [null, Buffer.from('broken')])
      expect(readHistoryReply(meta, [])).toEqual({
        ...{ position: undefined, publications: [], entries: 0, last: 0 },
      });
  });

  it('leaves out what the publish script did not write', () => {
    const { publications } = readHistoryReply(Buffer.from('k3:9'), [
      entry('7-0', 't', '1', 'p', 'good'),
      entry('7-1', 't', '1', 'p', 'x'),
      entry('8-0', 'p', 'x', 't', '1'),
      entry('8-0', 't', 'x', 'p', 'x'),
      entry('8-0', 't', '1'),
      entry('8-0', 't', '1', 'p', 'x', 'more', 'x'),
      entry('18446744073709551615-0', 't', '1', 'p', 'x'),
      entry('9-0', 't', '1', 'p', ''),
    ]);
    expect(publications.map(({ offset }) => offset)).toEqual([7, 9]);
  });

  it('says how far it has read, also where nothing could be read as a publication', () => {
    const read = (...ids: readonly string[]) =>
      readHistoryReply(
        null,
        ids.map((id) => entry(id, 'x', 'x')),
      );
    expect(read('7-0', '7-1')).toMatchObject({ publications: [], entries: 2, last: 7 });
    expect(read('7-0', '18446744073709551615-0')).toMatchObject({ entries: 2, last: Number.NaN });
  });
});
