import { describe, expect, it, vi } from 'vitest';
import { startProcess } from '../../processes/owned-process.ts';
import { type ServiceProcess, WORKSPACE_NODE } from '../../processes/service-process.ts';
import { DemoEdge } from './demo-edge.ts';

/** An edge is away for 4 s, and a machine may be busy. */
const DEADLINE = { timeout: 20_000 };

async function startEdge() {
  const started: ServiceProcess[] = [];
  const changes: string[] = [];
  const edge = await DemoEdge.start({
    name: 'edge-1',
    wsUrl: 'ws://127.0.0.1:1/ws',
    start: async () => {
      const owned = await startProcess({
        name: 'edge',
        command: WORKSPACE_NODE,
        args: ['--eval', 'setInterval(() => {}, 1_000)'],
        env: process.env,
        cwd: undefined,
      });
      const service = { ...owned, adminUrl: 'http://127.0.0.1:1' } as ServiceProcess;
      started.push(service);
      return service;
    },
    onChange: (condition, why) => changes.push(`${condition}: ${why}`),
  });
  return { edge, started, changes };
}

describe('DemoEdge', () => {
  it('starts again after it was killed, which is no failure', async () => {
    const { edge, started, changes } = await startEdge();
    await using _ = edge;
    expect(edge.isReady).toBe(true);
    edge.kill();
    // Its clients must not be sent to it, though the process has not ended yet.
    expect(edge).toMatchObject({ condition: 'ready', isReady: false });
    await vi.waitFor(() => expect(edge.condition).toBe('down'), DEADLINE);
    await vi.waitFor(() => expect(edge.isReady).toBe(true), DEADLINE);
    await vi.waitFor(() => expect(edge.condition).toBe('ready'), DEADLINE);
    expect(started).toHaveLength(2);
    expect(changes).toEqual(['down: killed', 'starting: starts again', 'ready: is back']);
  });

  it('fails when it ends unasked, and starts again all the same', async () => {
    const { edge, started } = await startEdge();
    await using _ = edge;
    started[0]?.signal('SIGKILL');
    await expect(edge.failed).rejects.toThrow('ended with SIGKILL');
    await vi.waitFor(() => expect(started).toHaveLength(2), DEADLINE);
  });

  it('leaves no process behind when it ends while it is away', async () => {
    const { edge, started } = await startEdge();
    edge.kill();
    await vi.waitFor(() => expect(edge.condition).toBe('down'), DEADLINE);
    await edge[Symbol.asyncDispose]();
    expect(started).toHaveLength(1);
  });
});
