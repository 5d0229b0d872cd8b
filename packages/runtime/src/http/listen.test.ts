import { once } from 'node:events';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

/** More than Node asks the kernel to hold by default, which is 511. */
const CLIENTS = 1_000;

it('lets connections wait in the kernel while it is busy, so that none must try again', async () => {
  const woken = new Int32Array(new SharedArrayBuffer(4));
  const fixture = new URL('./listen.fixture.ts', import.meta.url);
  const worker = new Worker(fixture, { workerData: woken.buffer });
  const [port] = (await once(worker, 'message')) as [number];
  const sockets = Array.from({ length: CLIENTS }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  });
  try {
    const connected = sockets.map((socket) => once(socket, 'connect'));
    const late = new Promise((resolve) => setTimeout(resolve, 15_000, 'late'));
    expect(await Promise.race([Promise.all(connected), late])).toHaveLength(CLIENTS);
  } finally {
    for (const socket of sockets) socket.destroy();
    Atomics.store(woken, 0, 1);
    Atomics.notify(woken, 0);
    await worker.terminate();
  }
});
