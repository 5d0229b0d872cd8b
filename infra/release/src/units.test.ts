import { readFileSync } from 'node:fs';
import { NODE_FLAGS, WORKSPACE_ROOT } from '@tradewind/dev';
import { CONFIG_ERROR_EXIT_CODE, STOP_DEADLINE_MS } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
import { RELEASED_SERVICES } from './services.ts';
import { readUnitFile } from './unit-file.ts';

/** What Compute Engine gives a machine between asking it to stop and switching it off, in s. */
const MACHINE_STOP_SECONDS = 120;

/**
 * Balancers ask `/readyz` every 5 s and go by two failures in a row: so long they send clients to a node that
 * drains, in s. Terraform and `test/release` have the same.
 */
const NOTICE_SECONDS = 10;

/** For how long Google's balancers keep an idle connection to a backend, in s. */
const BALANCER_KEEP_ALIVE_SECONDS = 600;

const UNITS = RELEASED_SERVICES.map(({ name }) => {
  const text = readFileSync(`${WORKSPACE_ROOT}infra/systemd/tradewind-${name}.service`, 'utf8');
  return { name, unit: readUnitFile(text) };
});

/** Those that a balancer sends to, and that therefore drain. */
const BALANCED = UNITS.filter(({ name }) => name !== 'console');

describe.each(UNITS)('the unit of $name', ({ name, unit }) => {
  const service = (key: string): string => unit.value('Service', key);

  it('starts what the release holds', () => {
    const home = `/opt/tradewind/${name}`;
    expect(service('ExecStart')).toBe(
      [`${home}/bin/node`, ...NODE_FLAGS[name], `${home}/app/main.js`].join(' '),
    );
    expect(service('EnvironmentFile')).toBe(`/etc/tradewind/${name}.env`);
  });

  it('waits for the stop, and the machine waits for it', () => {
    const stopSeconds = Number(service('TimeoutStopSec'));
    expect(stopSeconds).toBeGreaterThan(STOP_DEADLINE_MS / 1_000);
    expect(stopSeconds).toBeLessThan(MACHINE_STOP_SECONDS);
    expect(service('KillSignal')).toBe('SIGTERM');
    expect(service('KillMode')).toBe('mixed');
  });

  it('is started again after anything but a drain and mistakes in its settings', () => {
    expect(service('Restart')).toBe('always');
    expect(service('RestartPreventExitStatus')).toBe(`0 ${CONFIG_ERROR_EXIT_CODE}`);
  });

  it('runs without rights', () => {
    expect(service('User')).toBe('tradewind');
    expect(service('NoNewPrivileges')).toBe('yes');
    expect(service('CapabilityBoundingSet')).toBe('');
    expect(service('ProtectSystem')).toBe('strict');
    expect(service('PrivateTmp')).toBe('yes');
  });
});

describe.each(BALANCED)('the unit of $name, behind a balancer', ({ unit }) => {
  it('waits for the drain and for the stop', () => {
    const drainSeconds = Number(unit.environment.DRAIN_SECONDS);
    const stopSeconds = Number(unit.value('Service', 'TimeoutStopSec'));
    expect(drainSeconds).toBeLessThanOrEqual(60);
    expect(stopSeconds).toBe(75);
    expect(stopSeconds).toBeGreaterThan(drainSeconds + STOP_DEADLINE_MS / 1_000);
  });

  it('accepts until the balancer has noticed, and keeps connections for longer than it does', () => {
    const { DRAIN_ACCEPT_SECONDS, HTTP_KEEP_ALIVE_SECONDS } = unit.environment;
    expect(Number(DRAIN_ACCEPT_SECONDS)).toBeGreaterThan(NOTICE_SECONDS);
    expect(Number(HTTP_KEEP_ALIVE_SECONDS)).toBeGreaterThan(BALANCER_KEEP_ALIVE_SECONDS);
  });
});

it('lets an edge open a file for every client that a machine may hold', () => {
  const edge = UNITS.find(({ name }) => name === 'edge');
  expect(edge?.unit.value('Service', 'LimitNOFILE')).toBe('1048576');
  const sysctl = readFileSync(`${WORKSPACE_ROOT}infra/sysctl/60-tradewind.conf`, 'utf8');
  expect(sysctl).toMatch(/^fs\.nr_open = 1048576$/m);
});

it('lets a console take a bounded part of the memory, because it may share a machine with a node', () => {
  const console = UNITS.find(({ name }) => name === 'console');
  expect(console?.unit.value('Service', 'MemoryMax')).toMatch(/^\d+M$/);
  expect(console?.unit.environment.HOST, 'it is open to its machine only').toBeUndefined();
});
