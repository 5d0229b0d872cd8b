import { readFileSync } from 'node:fs';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { readIntegrities } from './lockfile.ts';
import { ARM64_NODE } from './platforms.ts';

it('releases the same Node for arm64 as for x64', () => {
  const { devDependencies } = JSON.parse(readFileSync(`${WORKSPACE_ROOT}package.json`, 'utf8'));
  expect(ARM64_NODE.version).toBe(devDependencies.node);
});

it('finds the native code for arm64 in the lockfile', () => {
  const integrities = readIntegrities(readFileSync(`${WORKSPACE_ROOT}pnpm-lock.yaml`, 'utf8'));
  const names = [...integrities.keys()].filter((name) => name.startsWith('@koromix/koffi-linux-'));
  const versions = new Set(names.map((name) => name.split('@').at(-1)));
  expect(names.some((name) => name.includes('arm64@'))).toBe(true);
  expect(versions.size).toBe(1);
});
