import { ReplyError } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { describeError, isErrorReply, RedisRefusedError } from './redis-errors.ts';

describe('RedisRefusedError', () => {
  it.each([
    ['NOPERM this user has no permissions', 'NOPERM'],
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ['OOM command not allowed', 'OOM'],
    ['something without a code', 'ERR'],
    ['@user_script: 108: -READONLY You can not write', 'READONLY'],
    ['@user_script: 108: Something without a code', 'ERR'],
    ['ERR @user_script: 108: -READONLY', 'ERR'],
  ])('takes its code from the reply: %s', (reply, code) => {
    expect(new RedisRefusedError(reply)).toMatchObject({ code, message: reply });
  });
});

describe('isErrorReply', () => {
  it('tells an answer of Redis from a failure of the link', () => {
    expect(isErrorReply(new ReplyError('NOPERM'))).toBe(true);
    expect(isErrorReply(new Error('Connection is closed.'))).toBe(false);
  });
});

describe('describeError', () => {
  it('gives the message, or the code where Node gives no message', () => {
    expect(describeError(new Error('read ECONNRESET'))).toBe('read ECONNRESET');
    const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
    expect(describeError(refused)).toBe('ECONNREFUSED');
    expect(describeError('text')).toBe('text');
  });
});
