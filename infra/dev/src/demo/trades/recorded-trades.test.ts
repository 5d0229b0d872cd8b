import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordedTrades } from './recorded-trades.ts';

const LINES = [
  '{"symbol":"ETH","id":"1","ts":1000,"side":"buy","price":"1.10","size":"1"}',
  '{"symbol":"BTC","id":2,"ts":1500,"side":"buy","price":"2","size":"1"}',
  '',
  '{"symbol":"ETH","id":"3","ts":3000,"side":"sell","price":"1.20","size":"1"}',
];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tradewind-trades-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function fileOf(text: string): Promise<string> {
  const file = join(folder, 'trades.ndjson');
  await writeFile(file, text);
  return file;
}

describe('recordedTrades', () => {
  it('keeps the order and the pace of the file, and each line as it is', async () => {
    const source = await recordedTrades(await fileOf(LINES.join('\n')), 2);
    expect(source.symbols).toEqual(['ETH', 'BTC']);
    expect((await source.take(0, 10))?.map(({ line }) => line)).toEqual([LINES[0]]);
    expect((await source.take(249, 10))?.length).toBe(0);
    expect((await source.take(250, 10))?.map(({ id }) => id)).toEqual(['2']);
    expect((await source.take(1_000, 10))?.map(({ line }) => line)).toEqual([LINES[3]]);
    expect(await source.take(1_001, 10)).toBeUndefined();
  });

  it.each([
    { text: '{"symbol":"ETH"', says: 'line 1: not JSON' },
    { text: `${LINES[0]}\nnull`, says: 'line 2: a trade needs' },
    { text: '\n', says: 'holds no trade' },
  ])('says what is wrong with $text', async ({ text, says }) => {
    await expect(recordedTrades(await fileOf(text), 1)).rejects.toThrow(says);
  });

  it('says that a file cannot be read', async () => {
    await expect(recordedTrades(join(folder, 'none'), 1)).rejects.toThrow('cannot be read');
  });
});
