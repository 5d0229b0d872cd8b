import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TIMEOUT_MS, until } from '../clients/testing/deadline.ts';
import { type Preface, type PrefaceFault, readPreface } from './proxy-preface.ts';

const HEADER = 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n';

const ends: (() => unknown)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const end of ends.splice(0).reverse()) end();
});

describe('readPreface', { timeout: TIMEOUT_MS }, () => {
  it('leaves what follows the header to the next reader, in order, and nothing of its own', async () => {
    const { accepted, proxy, result } = await start();
    proxy.write(`${HEADER}ab`);
    await until(() => result() !== undefined, 'the header');
    expect(result()).toEqual({ address: '203.0.113.7' });
    for (const event of ['readable', 'end', 'error']) {
      expect(
        accepted.listeners(event).filter(({ name }) => name !== 'onReadableStreamEnd'),
      ).toEqual([]);
    }
    let rest = '';
    accepted.on('data', (bytes) => {
      rest += bytes.toString();
    });
    proxy.write('cd');
    await until(() => rest === 'abcd', 'what follows');
  });

  it('gives up after 5 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { result } = await start('PROXY TCP4 ');
    vi.advanceTimersByTime(4_999);
    expect(result()).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(result()).toBe('late');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['ends', (proxy: Socket) => proxy.end()],
    ['resets', (proxy: Socket) => proxy.resetAndDestroy()],
  ])('hears of a proxy that %s before it has said all', async (_how, leave) => {
    const { proxy, result } = await start('PROXY');
    leave(proxy);
    await until(() => result() !== undefined, 'the end');
    expect(result()).toBe('closed');
  });
});

/** A proxy that has said this much to a server, which reads its header. */
async function start(said = '') {
  let result: Preface | PrefaceFault | undefined;
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = connect((server.address() as AddressInfo).port, '127.0.0.1');
  proxy.on('error', () => undefined);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  ends.push(
    () => server.close(),
    () => accepted.destroy(),
    () => proxy.destroy(),
  );
  readPreface(accepted, (end) => {
    result = end;
  });
  if (said !== '') await new Promise((resolve) => proxy.write(said, resolve));
  return { accepted, proxy, result: () => result };
}
