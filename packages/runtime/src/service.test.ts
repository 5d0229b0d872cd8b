import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const FIXTURE = fileURLToPath(new URL('service.fixture.ts', import.meta.url));
/** How long a service may take to log a line, in ms. A machine with other work may need seconds to start Node. */
const DEADLINE_MS = 30_000;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('runService', { timeout: DEADLINE_MS * 2 }, () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains, stops and ends with 0 on %s', async (signal) => {
    const service = run('usual');
    await service.logged('started');
    service.kill(signal);
    expect(await service.exitCode).toBe(0);
    expect(service.events()).toEqual([
      'starting',
      'started',
      'signal',
      'draining',
      'drain begun',
      'stopping',
      'stop begun',
      'stopped',
    ]);
  });

  it('drains when the service itself asks for it', async () => {
    const service = run('requests-drain');
    expect(await service.exitCode).toBe(0);
    expect(service.events()).toContain('stop begun');
  });

  it('cuts the drain short on a second signal', async () => {
    const service = run('long-drain');
    await service.logged('started');
    service.kill('SIGTERM');
    await service.logged('drain begun');
    service.kill('SIGTERM');
    expect(await service.exitCode).toBe(0);
    expect(service.events()).toContain('drain cut short');
    expect(service.events()).toContain('stopped');
  });

  it('does not hurry when a signal follows a drain that was asked for, as in a deploy', async () => {
    const service = run('requests-long-drain');
    await service.logged('drain begun');
    service.kill('SIGTERM');
    await service.logged('signal');
    service.kill('SIGTERM');
    expect(await service.exitCode).toBe(0);
    const told = service.events().filter((event) => /signal|drain cut short/.test(String(event)));
    expect(told).toEqual(['signal', 'signal', 'drain cut short']);
  });

  it('stops after the start when a signal came during it', async () => {
    const service = run('slow-start');
    await service.logged('starting');
    service.kill('SIGTERM');
    expect(await service.exitCode).toBe(0);
    expect(service.events()).toContain('stopped');
    expect(service.events()).not.toContain('drain begun');
  });

  it('stops even if the drain fails', async () => {
    const service = run('failing-drain');
    await service.logged('started');
    service.kill('SIGTERM');
    expect(await service.exitCode).toBe(0);
    expect(service.events()).toEqual(expect.arrayContaining(['drain_failed', 'stopped']));
  });

  it.each([
    ['endless-stop', 'started', 'stop_deadline'],
    ['endless-start', 'starting', 'stop_deadline'],
    ['failing-stop', 'started', 'stop_failed'],
  ])('%s: gives up with 1 and says so', async (behaviour, until, event) => {
    const service = run(behaviour);
    await service.logged(until);
    service.kill('SIGTERM');
    expect(await service.exitCode).toBe(1);
    expect(service.events()).toContain(event);
  });

  it.each([
    ['rejection', 'unhandled_rejection', 'nobody cares'],
    ['exception', 'uncaught_exception', 'nobody catches'],
  ])('ends after an %s', async (behaviour, event, message) => {
    const service = run(behaviour);
    expect(await service.exitCode).toBe(1);
    expect(service.lines()).toContainEqual(
      expect.objectContaining({
        level: 'fatal',
        msg: event,
        err: expect.objectContaining({ message }),
      }),
    );
  });

  it('prints the mistakes of a configuration, one a line, and ends with 78', async () => {
    const service = run('config-error');
    expect(await service.exitCode).toBe(78);
    expect(service.stderr()).toBe('fixture: PORT: wrong\nfixture: HOST: wrong\n');
  });

  it('prints why the start failed, without a stack, and ends with 1', async () => {
    const service = run('start-error');
    expect(await service.exitCode).toBe(1);
    expect(service.stderr()).toBe('fixture: port 8080 is in use; set PORT to another\n');
  });
});

function run(behaviour: string) {
  const child = spawn(process.execPath, [FIXTURE, behaviour], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  const lines = (): readonly Record<string, unknown>[] =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const events = (): readonly unknown[] => lines().map(({ msg }) => msg);
  return {
    exitCode,
    lines,
    events,
    stderr: () => stderr,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    async logged(event: string): Promise<void> {
      const signal = AbortSignal.timeout(DEADLINE_MS);
      while (!events().includes(event)) await once(child.stdout, 'data', { signal });
    },
  };
}
