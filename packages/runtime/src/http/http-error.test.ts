import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { endWithError } from './http-error.ts';

const BUSY = { status: 429, code: 'rate_limited', message: 'Zu früh.', retryable: true };

describe('endWithError', () => {
  it('writes a whole answer in the one error shape and lets go of the stream', async () => {
    const { stream, written } = createStream((done) => done());
    endWithError(stream, BUSY, { 'retry-after': '1' });
    await once(stream, 'close');
    const [head = '', body = ''] = written().split('\r\n\r\n');
    expect(head.split('\r\n')).toEqual([
      'HTTP/1.1 429 Too Many Requests',
      'connection: close',
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'cache-control: no-store',
      'retry-after: 1',
    ]);
    expect(JSON.parse(body)).toEqual({
      error: { code: 'rate_limited', message: 'Zu früh.', retryable: true },
    });
  });

  it('throws nothing when the peer has gone', async () => {
    const { stream } = createStream((done) => done(new Error('EPIPE')));
    endWithError(stream, BUSY);
    await expect.poll(() => stream.closed).toBe(true);
  });
});

function createStream(settle: (done: (error?: Error) => void) => void) {
  const chunks: Buffer[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      settle(done);
    },
  });
  return { stream, written: () => Buffer.concat(chunks).toString('utf8') };
}
