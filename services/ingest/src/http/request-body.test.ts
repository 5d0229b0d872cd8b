import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readBody } from './request-body.ts';

const MAX_BYTES = 1024 * 1024;

/** Of single bytes, each in a chunk of its own. */
const CHUNKS = 200_000;

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('readBody', () => {
  it.each([
    ['one chunk', ['{"a":1}']],
    ['several chunks', ['{"a"', ':', '1}']],
    ['none', []],
  ])('gives the bytes of %s', async (_, chunks) => {
    for (const isDeclared of [true, false]) {
      const text = chunks.join('');
      const { request, body } = post(isDeclared ? { 'content-length': `${text.length}` } : {});
      for (const chunk of chunks) {
        request.write(chunk);
        await nextTurn();
      }
      request.end();
      expect((await body).toString()).toBe(text);
    }
  });

  it('refuses what is larger as soon as that is clear, and reads no more of it', async () => {
    const { request, body } = post({});
    request.write(Buffer.alloc(MAX_BYTES));
    request.write('x');
    await expect(body).rejects.toMatchObject({ details: { code: 'message_too_large' } });
    request.write('y');
    await nextTurn();
    expect(request.readableLength).toBeGreaterThan(0);
  });

  it('says so when the peer goes away, also when it had gone before', async () => {
    const early = { details: { code: 'bad_message' } };
    const { request, body } = post({});
    request.write('x');
    request.destroy(new Error('aborted'));
    await expect(body).rejects.toMatchObject(early);
    await expect(readBody(asRequest(request), NO_RESPONSE, MAX_BYTES)).rejects.toMatchObject(early);
  });

  it.each([
    ['is gathered without', true],
    ['control: takes much in a list of its chunks, with', false],
  ])('a body of single bytes %s more memory than another one', async (_, isGathered) => {
    const { promise: length, resolve } = Promise.withResolvers<number>();
    const server = createServer(async (request, response) => {
      const body = isGathered ? await readBody(request, response, MAX_BYTES) : await list(request);
      resolve(body.length);
    });
    onTestFinished(() => void server.close().closeAllConnections());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const [request] = (await once(server, 'request')) as [IncomingMessage];
    const before = usedBytes();
    let received = 0;
    request.on('data', () => {
      received += 1;
    });
    socket.write('1\r\nx\r\n'.repeat(CHUNKS));
    await expect.poll(() => received, { timeout: 20_000 }).toBe(CHUNKS);
    const taken = usedBytes() - before;
    socket.end('0\r\n\r\n');
    expect(await length).toBe(CHUNKS);
    if (isGathered) expect(taken).toBeLessThan(4 * MIB);
    else expect(taken).toBeGreaterThan(10 * MIB);
  });
});

/** As one might read a body. */
async function list(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(request, 'end');
  return Buffer.concat(chunks);
}

const NO_RESPONSE = {} as ServerResponse;

function post(headers: IncomingHttpHeaders) {
  const request = Object.assign(new PassThrough(), { headers });
  const body = readBody(asRequest(request), NO_RESPONSE, MAX_BYTES);
  body.catch(() => undefined);
  return { request, body };
}

function asRequest(request: PassThrough): IncomingMessage {
  return request as unknown as IncomingMessage;
}

function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
