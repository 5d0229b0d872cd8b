import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { needsSendWindow } from '../outbound/send-window.ts';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { FanOutServer } from './testing/fan-out-server.ts';
import type { RawClient } from './testing/raw-client.ts';

const DATA = 'x'.repeat(20_000);
/** 8 MB: more than any kernel here buffers for one client. */
const PUBLICATIONS = 400;
const CLIENTS = 4;

/** The most that the kernel may hold for one client that does not read, in bytes, on both ends of its connection. */
const GOAL_BYTES = 512 * 1024;

/** A kernel that buffers little by itself shows nothing here. */
describe.runIf(process.platform === 'linux' && needsSendWindow())(
  'FanOut with clients that do not read, where the kernel would buffer much',
  { timeout: TIMEOUT_MS },
  () => {
    it('leaves few bytes in the kernel for each, and gives readers everything', async () => {
      const { heldBytes, reader } = await publish(true);
      expect(heldBytes).toBeLessThan(GOAL_BYTES);
      expect(reader).toEqual(Array.from({ length: PUBLICATIONS }, (_, i) => i + 1));
    });

    it('leaves more there without a window (control)', async () => {
      const { heldBytes } = await publish(false);
      expect(heldBytes).toBeGreaterThan(GOAL_BYTES);
    });

    it('continues where it stopped when a client reads again', async () => {
      await using server = await FanOutServer.start({ isWindowed: true });
      const client = await server.client(['a']);
      client.pause();
      await offer(server);
      client.resume();
      await until(() => client.publications.length === PUBLICATIONS, 'all of it');
      expect(seqs(client)).toEqual(Array.from({ length: PUBLICATIONS }, (_, i) => i + 1));
    });
  },
);

/** Publishes to clients of which all but one have stopped reading. Returns the bytes that the kernel holds for each of these. */
async function publish(isWindowed: boolean) {
  await using server = await FanOutServer.start({ isWindowed });
  const reader = await server.client(['a']);
  const stalled = await Promise.all(Array.from({ length: CLIENTS }, () => server.client(['a'])));
  for (const client of stalled) client.pause();
  await offer(server);
  await until(() => reader.publications.length === PUBLICATIONS, 'all for who reads');
  return { heldBytes: kernelBytes(server.port) / CLIENTS, reader: seqs(reader) };
}

async function offer(server: FanOutServer): Promise<void> {
  for (let i = 0; i < PUBLICATIONS; i += 1) {
    server.upstream.publish('a', DATA);
    await nextTurn();
  }
}

function seqs({ publications }: RawClient): unknown[] {
  return publications.map(({ seq }) => seq);
}

/**
 * Bytes that the kernel holds for the connections of a port of this machine: not acknowledged yet, or acknowledged and
 * not read. In /proc/net/tcp these are hexadecimal, as addresses and ports are.
 */
function kernelBytes(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let bytes = 0;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1)) {
    const [, local = '', remote = '', state, queues = ''] = line.trim().split(/\s+/);
    const LISTENING = '0A';
    if (state === LISTENING || !(local.endsWith(suffix) || remote.endsWith(suffix))) continue;
    for (const queued of queues.split(':')) bytes += Number.parseInt(queued, 16);
  }
  return bytes;
}
