import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { SESSION_ENDED, Viewers } from './viewers.ts';

const stack: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of stack.splice(0).reverse()) await end();
});

/** Opens a page for each login's end, in ms of the wall clock; undefined where nobody must log in. */
async function openPages(...logins: readonly (number | undefined)[]) {
  const ends = [...logins];
  const sessionEnded = vi.fn();
  const asked = vi.fn();
  const viewers = new Viewers({ first: () => 'first', asked, left() {}, sessionEnded });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    viewers.accept(request, socket, head, ends.shift());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.push(
    () => server.close(),
    () => viewers.stop(),
  );
  const { port } = server.address() as AddressInfo;
  const pages: WebSocket[] = [];
  for (const _login of logins) {
    const page = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(page, 'message');
    pages.push(page);
  }
  return { viewers, pages, sessionEnded, asked };
}

it('closes a page when its login ends, and no other', async () => {
  const { viewers, pages, sessionEnded } = await openPages(1_000, 2_000, undefined);
  const [first, second, third] = pages as [WebSocket, WebSocket, WebSocket];
  viewers.endSessions(999);
  expect(sessionEnded).not.toHaveBeenCalled();
  const closed = once(first, 'close');
  const reached = Promise.all([second, third].map((page) => once(page, 'message')));
  viewers.endSessions(1_000);
  // What is sent to all reaches those that are left.
  viewers.send('figures');
  expect((await closed)[0]).toBe(SESSION_ENDED);
  await reached;
  viewers.endSessions(1_001);
  expect(sessionEnded).toHaveBeenCalledTimes(1);
});

it('answers a page nothing more once its login has ended', async () => {
  const { viewers, pages, asked } = await openPages(1_000);
  const [page] = pages as [WebSocket];
  const closed = once(page, 'close');
  // It is on its way while the page is closed.
  page.send('{"channel":"BTC.trade"}');
  viewers.endSessions(1_000);
  await closed;
  expect(asked).not.toHaveBeenCalled();
});
