import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkoutFault } from './checkout.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'checkout-'));
});

afterEach(() => rm(root, { recursive: true }));

async function write(path: string, text = ''): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

/** Prepares a folder as `git clone` leaves it. */
async function clone(): Promise<void> {
  await write('package.json', '{"name":"tradewind"}');
  await write('services/edge/package.json', '{"dependencies":{"ws":"8.18.0"}}');
  await write('services/edge/src/main.ts');
}

async function install(): Promise<void> {
  await mkdir(join(root, 'node_modules/.bin'), { recursive: true });
  await symlink(process.execPath, join(root, 'node_modules/.bin/node'));
  await write('services/edge/node_modules/ws/package.json');
}

describe('checkoutFault', () => {
  it('finds nothing wrong with this checkout, nor with another that is installed', async () => {
    expect(checkoutFault(WORKSPACE_ROOT)).toBeUndefined();
    await clone();
    await install();
    expect(checkoutFault(root)).toBeUndefined();
  });

  it('reports a path that is not a folder', async () => {
    await write('file');
    expect(checkoutFault(join(root, 'nowhere'))).toBe('is no folder');
    expect(checkoutFault(join(root, 'file'))).toBe('is no folder');
    expect(checkoutFault('')).toBe('is no folder');
  });

  it('reports a folder that is not a checkout of this project', async () => {
    expect(checkoutFault(root)).toBe('is no checkout of tradewind');
    await clone();
    await write('package.json', '{"name":"headwind"}');
    expect(checkoutFault(root)).toBe('is no checkout of tradewind');
    await write('package.json', '{"name":');
    expect(checkoutFault(root)).toBe('is no checkout of tradewind');
  });

  it('reports a checkout that is not installed, or whose installation is out of date', async () => {
    await clone();
    expect(checkoutFault(root)).toMatch(
      /^is not installed: node_modules\/\.bin\/node, services\/edge\/node_modules\/ws missing;/,
    );
    await install();
    await write('services/edge/package.json', '{"dependencies":{"ws":"8.18.0","koffi":"3.0.0"}}');
    expect(checkoutFault(root)).toMatch(/^is not installed: services\/edge\/node_modules\/koffi m/);
  });
});
