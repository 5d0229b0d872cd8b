import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentedCommands } from '../../../../test/support/documents/document-commands.ts';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { mustHaveFreePorts } from './ports.ts';
import { ignoredSettings, readStartSettings, UsageError } from './settings.ts';

describe('readStartSettings', () => {
  it('runs until Ctrl-C with synthetic trades by default', () => {
    const settings = readStartSettings([], {});
    expect(settings.seconds).toBeUndefined();
    expect(settings.replay).toBeUndefined();
    expect(settings.ports.START_EDGE_1_PORT).toBe(8080);
  });

  it('reads a replay with its speed', () => {
    const settings = readStartSettings(['--replay', 'a.ndjson', '--speed', '2.5'], {
      INIT_CWD: '/home/someone',
    });
    expect(settings.replay).toEqual({ file: '/home/someone/a.ndjson', speed: 2.5 });
  });

  it('moves ports by the environment', () => {
    const { ports } = readStartSettings([], { START_EDGE_2_PORT: '18082' });
    expect(ports.START_EDGE_2_PORT).toBe(18082);
    expect(ports.START_EDGE_1_PORT).toBe(8080);
  });

  it.each([
    { args: ['--seconds', '0'], env: {}, says: '--seconds' },
    { args: ['--seconds', 'ten'], env: {}, says: '"ten"' },
    { args: ['--speed', '2'], env: {}, says: '--replay' },
    { args: ['--sekonds', '2'], env: {}, says: '--sekonds' },
    { args: ['file'], env: {}, says: 'file' },
    { args: [], env: { START_EDGE_1_PORT: '70000' }, says: 'START_EDGE_1_PORT' },
    { args: [], env: { START_EDGE_1_PORT: '8082' }, says: 'START_EDGE_2_PORT' },
  ])('says what is wrong with $args $env', ({ args, env, says }) => {
    const read = () => readStartSettings(args, env);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(says);
  });

  it('says all that is wrong at once', () => {
    const read = () =>
      readStartSettings(['--seconds', 'x', '--speed', '2'], {
        START_EDGE_1_PORT: 'abc',
        START_EDGE_2_PORT: '70000',
        START_INGEST_PORT: '9080',
      });
    expect(read).toThrow(
      [
        '--speed is for --replay FILE',
        '--seconds must be a number above 0, at most 86400, not "x"',
        'START_EDGE_1_PORT must be a port from 1 to 65535, not "abc"',
        'START_EDGE_2_PORT must be a port from 1 to 65535, not "70000"',
        'START_EDGE_1_ADMIN_PORT and START_INGEST_PORT are both 9080',
      ].join('\n'),
    );
  });
});

describe('ignoredSettings', () => {
  it('names what services would read and npm start does not pass on', () => {
    const env = {
      WS_MAX_CONNECTIONS: '5',
      EDGE_QUEUE_SLOTS: '64',
      REDIS_PASSWORD_FILE: 'password',
      INGEST_HISTORY_SIZE: '9',
      CONSOLE_HOSTS: 'a',
    };
    expect(ignoredSettings({ ...env, PATH: '/bin', START_EDGE_1_PORT: '1' })).toEqual(
      Object.keys(env).sort(),
    );
  });

  it('names neither the Redis that it takes, nor an empty variable', () => {
    expect(ignoredSettings({ REDIS_URL: 'redis://a', EDGE_NODE_ID: '' })).toEqual([]);
  });
});

describe('mustHaveFreePorts', () => {
  it('names the port in use and the setting that moves it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { ports } = readStartSettings([], { START_INGEST_PORT: String(port) });
    await expect(mustHaveFreePorts({ START_INGEST_PORT: ports.START_INGEST_PORT })).rejects.toThrow(
      `port ${port} is in use; set START_INGEST_PORT to a free one`,
    );
    await new Promise((resolve) => server.close(resolve));
    await expect(mustHaveFreePorts({ START_INGEST_PORT: port })).resolves.toBeUndefined();
  });
});

it.each(documentedCommands('npm start').filter(({ args }) => !args.includes('--help')))(
  'reads what $document says: $text',
  ({ args, environment }) => {
    expect(() => readStartSettings(args, environment)).not.toThrow();
    expect(ignoredSettings(environment)).toEqual([]);
  },
);

describe('npm start -- --help', () => {
  const BOOTSTRAP = ['package.json', 'pnpm-lock.yaml', 'infra/dev/bootstrap.mjs'];
  const USAGE = 'infra/dev/start-usage.txt';

  /** Runs the bootstrap where nothing is installed and nothing can be: its PATH has no npx. */
  function runUninstalled(args: readonly string[]): { status: number | null; stdout: string } {
    const root = mkdtempSync(join(tmpdir(), 'tradewind-help-'));
    try {
      for (const file of [...BOOTSTRAP, USAGE])
        cpSync(join(WORKSPACE_ROOT, file), join(root, file), { recursive: true });
      const bootstrap = join(root, 'infra/dev/bootstrap.mjs');
      const env = { PATH: root };
      return spawnSync(process.execPath, [bootstrap, ...args], { env, encoding: 'utf8' });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  it('prints the usage without installing anything', () => {
    const { status, stdout } = runUninstalled(['start', '--help']);
    expect(stdout).toContain('usage: npm start');
    expect(status).toBe(0);
  });

  it('tries to install without --help, which fails there: the control', () => {
    expect(runUninstalled(['start', '--seconds', '1']).status).not.toBe(0);
  });

  it('names every variable that moves a port, with its default', () => {
    const usage = readFileSync(join(WORKSPACE_ROOT, USAGE), 'utf8').replace(/\s+/g, ' ');
    const { ports } = readStartSettings([], {});
    for (const [name, port] of Object.entries(ports)) expect(usage).toContain(`${name} (${port})`);
  });
});
