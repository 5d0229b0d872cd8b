import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type OwnedProcess, startProcess } from './owned-process.ts';

const DEADLINE_MS = 30_000;

function startScript(script: string): Promise<OwnedProcess> {
  return startProcess({
    name: 'script',
    command: process.execPath,
    args: ['-e', script],
    env: process.env,
    cwd: undefined,
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const WAITS = 'setInterval(() => {}, 1000); console.log("waiting")';

describe('startProcess', () => {
  it('finds a line that was written before it was asked for', async () => {
    const owned = await startScript('console.log("a 1"); console.error("b 2")');
    await owned.exited;
    const found = await owned.waitForLine((line) => /^b (\d)/.exec(line)?.[1], DEADLINE_MS);
    expect(found).toBe('2');
  });

  it('rejects with the output when the process ends without the line', async () => {
    const owned = await startScript('console.error("it broke"); process.exit(3)');
    const waiting = owned.waitForLine(() => undefined, DEADLINE_MS);
    await expect(waiting).rejects.toThrow(
      /script ended with exit code 3; its last output:\nit broke/,
    );
  });

  it('rejects at the deadline', async () => {
    await using owned = await startScript(WAITS);
    const waiting = owned.waitForLine(() => undefined, 50);
    await expect(waiting).rejects.toThrow('did not get ready within 50 ms');
  });

  it('rejects when there is no such command', async () => {
    const options = {
      name: 'none',
      command: '/no/such/program',
      args: [],
      env: {},
      cwd: undefined,
    };
    await expect(startProcess(options)).rejects.toThrow('ENOENT');
  });

  it('stops by SIGTERM, a frozen process too', async () => {
    const owned = await startScript(WAITS);
    owned.signal('SIGSTOP');
    expect(await owned.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(await owned.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('kills what does not listen to SIGTERM', async () => {
    const owned = await startScript(`process.on("SIGTERM", () => {}); ${WAITS}`);
    await owned.waitForLine((line) => (line === 'waiting' ? true : undefined), DEADLINE_MS);
    expect(await owned.stop(50)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('leaves no process behind when its owner is killed', async () => {
    const module = fileURLToPath(new URL('./owned-process.ts', import.meta.url));
    const owner = spawn(
      process.execPath,
      [
        '--input-type=module-typescript',
        '-e',
        `import { startProcess } from ${JSON.stringify(module)};
         const owned = await startProcess({ name: 'sleep', command: 'sleep', args: ['600'],
           env: process.env, cwd: undefined });
         console.log(owned.pid);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
    const pid = Number(line);
    expect(isRunning(pid)).toBe(true);
    owner.kill('SIGKILL');
    const deadline = performance.now() + DEADLINE_MS;
    while (isRunning(pid) && performance.now() < deadline) await sleep(10);
    expect(isRunning(pid)).toBe(false);
  });
});
