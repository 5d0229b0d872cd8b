import { MAX_WATCHED_CHANNELS } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { Questions, readQuestion } from './questions.ts';

const BUSIEST = { order: 'rate', text: '' } as const;

describe('what a page asks', () => {
  it('is read', () => {
    const question = { list: BUSIEST, channel: 'BTC.trade', client: '' };
    expect(readQuestion(JSON.stringify(question))).toEqual(question);
    expect(readQuestion('{}')).toEqual({});
  });

  it.each([
    '',
    'null',
    '[',
    '{"list":{"order":"colour","text":""}}',
    '{"list":{"order":"rate"}}',
    '{"channel":""}',
    '{"channel":7}',
    `{"client":"${'x'.repeat(201)}"}`,
  ])('is none: %s', (text) => {
    expect(readQuestion(text)).toBeUndefined();
  });
});

describe('what all pages ask', () => {
  it('is nothing while nobody asks', () => {
    const questions = new Questions<string>();
    expect(questions.watch).toBeUndefined();
    questions.set('a', {});
    expect(questions.watch).toBeUndefined();
    questions.set('a', { channel: 'x' });
    questions.delete('a');
    expect(questions.watch).toBeUndefined();
  });

  it('is asked once, and answered to each page that asks it', () => {
    const questions = new Questions<string>();
    questions.set('a', { list: BUSIEST, channel: 'x' });
    questions.set('b', { list: { ...BUSIEST }, client: 's' });
    expect(questions.watch).toEqual({ lists: [BUSIEST], channels: ['x'], clients: ['s'] });
    expect(questions.ofList(BUSIEST)).toEqual(['a', 'b']);
    expect(questions.ofChannel('x')).toEqual(['a']);
    expect(questions.ofClient('s')).toEqual(['b']);
  });

  it('is bounded', () => {
    const questions = new Questions<number>();
    for (let page = 0; page < 100; page += 1) questions.set(page, { channel: `c${page}` });
    expect(questions.watch?.channels).toHaveLength(MAX_WATCHED_CHANNELS);
  });
});
