import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../support/clients/client.ts';
import { evaluateIn } from '../support/services/inspector.ts';
import { eventually } from '../support/suite/wait.ts';
import { startTier, type Tier } from '../support/tier.ts';
import { type Cost, METERED, takeCosts } from './costs.ts';

let tier: Tier;

beforeAll(async () => {
  tier = await startTier({ edges: 1, env: { ...METERED, EDGE_WORKERS: '1' } });
  await evaluateIn(edge(), BURN);
});
afterAll(async () => {
  await tier?.[Symbol.asyncDispose]();
});

const edge = () => tier.edges[0]!;

/** Uses CPU time of the thread; sleeping would not count. */
const BURN = `globalThis.burn = (ms) => {
  const cpuMs = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1_000; };
  for (const end = cpuMs() + ms; cpuMs() < end; );
}; 0`;

it('charges a message with its immediate work, and its callback with the work in a microtask', async () => {
  await using client = await TestClient.connect(edge().wsUrl);
  await evaluateIn(
    edge(),
    `globalThis.parse = JSON.parse; JSON.parse = (text) => {
      if (text.includes('expensive')) { burn(60); queueMicrotask(() => burn(80)); }
      return parse(text);
    }; 0`,
  );
  await takeCosts(edge());
  client.sendText('{"type":"ping","note":"cheap"}');
  client.sendText('{"type":"ping","note":"expensive"}');
  await client.waitFor(() => client.controlsOf('pong').length === 2);
  const { messages, callbacks } = await takeCosts(edge());
  await evaluateIn(edge(), 'JSON.parse = globalThis.parse; 0');
  expect(messages[0]).toMatchObject({ messages: 1, bytes: 34, kind: 'message' });
  expect(messages[0]?.text).toContain('expensive');
  expect(messages[0]?.cpuMs).toBeGreaterThan(59);
  expect(messages[1]?.cpuMs).toBeLessThan(59);
  expect(callbacks[0]?.cpuMs).toBeGreaterThan(130);
  expect(callbacks[0]?.messages).toBeGreaterThan(0);
});

it('charges a timer that a message has set with its own work', async () => {
  await evaluateIn(edge(), 'setTimeout(() => burn(70), 1); 0');
  const dear: Cost[] = [];
  await eventually(async () => {
    const { callbacks } = await takeCosts(edge());
    dear.push(...callbacks.filter(({ cpuMs }) => cpuMs > 50));
    return dear.length > 0;
  });
  expect(dear).toMatchObject([{ kind: 'Timeout', messages: 0 }]);
});

it('counts the CPU time of the thread, not the time that it waits', async () => {
  await takeCosts(edge());
  await evaluateIn(
    edge(),
    'setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300), 1); 0',
  );
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect((await takeCosts(edge())).callbacks[0]?.cpuMs).toBeLessThan(200);
});
