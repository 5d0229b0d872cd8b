import { readFileSync } from 'node:fs';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { readIntegrities } from './lockfile.ts';

it('reads from our lockfile what a parser of YAML reads', () => {
  const text = readFileSync(`${WORKSPACE_ROOT}pnpm-lock.yaml`, 'utf8');
  const { packages } = parse(text) as {
    readonly packages: Readonly<Record<string, { readonly resolution: { integrity?: string } }>>;
  };
  const expected = Object.entries(packages).flatMap(([name, { resolution }]) => {
    const { integrity } = resolution;
    return integrity === undefined
      ? []
      : [[name, Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')] as const];
  });
  expect(readIntegrities(text)).toEqual(new Map(expected));
  expect(expected.length).toBeGreaterThan(100);
});
