import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findImportFaults, importedSpecifiers } from './check-imports.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tradewind-imports-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function plant(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

async function plantPackage(folder: string, name: string, dependencies: string[]): Promise<void> {
  const versions = Object.fromEntries(dependencies.map((dependency) => [dependency, '1.0.0']));
  await plant(`${folder}/package.json`, JSON.stringify({ name, dependencies: versions }));
}

describe('findImportFaults', () => {
  it('finds a dependency that the package does not declare', async () => {
    await plantPackage('packages/bus', '@tradewind/bus', []);
    await plant('packages/bus/src/link.ts', `import { Redis } from 'ioredis';\n`);
    expect(await findImportFaults(root)).toEqual([
      'packages/bus/src/link.ts: imports ioredis, which @tradewind/bus does not declare',
    ]);
  });

  it('finds a dependency that the house does not allow, declared or not', async () => {
    await plantPackage('services/edge', '@tradewind/edge', ['ws', 'ioredis']);
    await plant('services/edge/src/hub/hub.ts', `import { Redis } from 'ioredis';\n`);
    expect(await findImportFaults(root)).toEqual([
      'services/edge/package.json: @tradewind/edge may not depend on ioredis',
    ]);
  });

  it('finds ways into the inside of another package', async () => {
    await plantPackage('services/edge', '@tradewind/edge', ['@tradewind/fanout']);
    await plant(
      'services/edge/src/hub/hub.ts',
      `import type { Ring } from '@tradewind/fanout/src/ring.ts';\nexport * from '../../../ingest/src/trade.ts';\n`,
    );
    expect(await findImportFaults(root)).toEqual([
      'services/edge/src/hub/hub.ts: imports @tradewind/fanout/src/ring.ts, which reaches inside @tradewind/fanout',
      'services/edge/src/hub/hub.ts: imports ../../../ingest/src/trade.ts, which lies outside @tradewind/edge',
    ]);
  });

  it('finds a way from one room into another that the house does not have, outside of tests', async () => {
    await plantPackage('services/edge', '@tradewind/edge', []);
    const upward = `import type { Connection } from '../clients/connection.ts';\n`;
    await plant('services/edge/src/hub/hub.ts', upward);
    await plant('services/edge/src/hub/hub.test.ts', upward);
    await plant('services/edge/src/hub/testing/hub-under-test.ts', upward);
    await plant('services/edge/src/edge.ts', `import { Hub } from './hub/hub.ts';\n`);
    await plant(
      'services/edge/src/clients/fan-out.ts',
      `import type { Feed } from '../feed.ts';\n`,
    );
    expect(await findImportFaults(root)).toEqual([
      'services/edge/src/hub/hub.ts: imports ../clients/connection.ts; hub may not import clients',
    ]);
  });

  it('holds the rooms inside a room to rules of their own', async () => {
    await plantPackage('services/edge', '@tradewind/edge', []);
    const clients = 'services/edge/src/clients';
    await plant(
      `${clients}/session/session.ts`,
      `import '../time/due-times.ts';\nimport '../connection/connection.ts';\nimport '../../auth/rights.ts';\nimport '../../hub/hub.ts';\n`,
    );
    await plant(`${clients}/fan-out.ts`, `import './connection/connection.ts';\n`);
    await plant(`${clients}/elsewhere/presence.ts`, `import '../../feed.ts';\n`);
    expect((await findImportFaults(root)).toSorted()).toEqual([
      `${clients}/elsewhere/presence.ts: stands in elsewhere, which is not a room of ${clients}`,
      `${clients}/session/session.ts: imports ../../hub/hub.ts; clients may not import hub`,
      `${clients}/session/session.ts: imports ../connection/connection.ts; session may not import connection`,
    ]);
  });

  it('finds a file that stands in no room of its package', async () => {
    await plantPackage('services/edge', '@tradewind/edge', []);
    await plant('services/edge/src/presence/presence.ts', `import '../feed.ts';\n`);
    expect(await findImportFaults(root)).toEqual([
      'services/edge/src/presence/presence.ts: stands in presence, which is not a room of services/edge/src',
    ]);
  });

  it('lets benchmarks use what stands in test/support, and tests the load of the benchmarks', async () => {
    await plantPackage('bench', '@tradewind/bench', []);
    await plantPackage('test', '@tradewind/test', []);
    await plant('bench/compare/arena.ts', `import '../../test/support/suite/wait.ts';\n`);
    await plant('bench/compare/other.ts', `import '../../test/chaos/oracle.ts';\n`);
    await plant(
      'test/fuzz/main.ts',
      `import '../../bench/load/load.ts';\nimport '../../bench/compare/arena.ts';\n`,
    );
    expect(await findImportFaults(root)).toEqual([
      'bench/compare/other.ts: imports ../../test/chaos/oracle.ts, which lies outside @tradewind/bench',
      'test/fuzz/main.ts: imports ../../bench/compare/arena.ts, which lies outside @tradewind/test',
    ]);
  });

  it('finds Node where there must be none, outside of tests', async () => {
    await plantPackage('packages/protocol', '@tradewind/protocol', []);
    await plant('packages/protocol/src/a.ts', `import { readFile } from 'node:fs/promises';\n`);
    await plant('packages/protocol/src/a.test.ts', `import { readFile } from 'node:fs';\n`);
    expect(await findImportFaults(root)).toEqual([
      'packages/protocol/src/a.ts: imports node:fs/promises; @tradewind/protocol must run without Node',
    ]);
  });

  it('lets tests use the test tools, and nothing else', async () => {
    await plantPackage('packages/fanout', '@tradewind/fanout', []);
    await plant('packages/fanout/src/a.test.ts', `import { it } from 'vitest';\n`);
    await plant('packages/fanout/src/a.ts', `import { it } from 'vitest';\n`);
    expect(await findImportFaults(root)).toEqual([
      'packages/fanout/src/a.ts: imports vitest, which @tradewind/fanout does not declare',
    ]);
  });

  it('lets tests, and nothing else, import what all tests may', async () => {
    await plantPackage('packages/fanout', '@tradewind/fanout', []);
    const text = `import { createRandom } from '../../../test/support/suite/random.ts';\n`;
    await plant('packages/fanout/src/a.test.ts', text);
    await plant('packages/fanout/src/a.ts', text);
    await plant('packages/fanout/src/b.test.ts', text.replace('support', 'chaos'));
    expect(await findImportFaults(root)).toEqual([
      'packages/fanout/src/a.ts: imports ../../../test/support/suite/random.ts, which lies outside @tradewind/fanout',
      'packages/fanout/src/b.test.ts: imports ../../../test/chaos/suite/random.ts, which lies outside @tradewind/fanout',
    ]);
  });

  it('finds a package that the house does not know', async () => {
    await plantPackage('packages/shared', '@tradewind/shared', []);
    expect(await findImportFaults(root)).toEqual([
      'packages/shared: @tradewind/shared is not a package of the house',
    ]);
  });

  it('finds a main.ts that does more than start and stop', async () => {
    await plantPackage('services/ingest', '@tradewind/ingest', []);
    await plant('services/ingest/src/main.ts', 'start();\n'.repeat(25));
    expect(await findImportFaults(root)).toEqual([
      'services/ingest/src/main.ts: has 25 lines; it must have fewer than 25',
    ]);
    await plant('services/ingest/src/main.ts', 'start();\n'.repeat(24));
    expect(await findImportFaults(root)).toEqual([]);
  });
});

describe('importedSpecifiers', () => {
  it('reads every form of import', () => {
    const source = [
      `import 'a';`,
      `import b from 'b';`,
      `import {\n  type C,\n  c,\n} from 'c';`,
      `import type { D } from 'd';`,
      `export * from 'e';`,
      `export { f } from 'f';`,
      `const g = await ${'import'}('g');`,
      `type H = ${'import'}('h').H;`,
      `export function from() { return 'not-imported'; }`,
      `// import x from 'comment'`,
    ].join('\n');
    expect(importedSpecifiers(source).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  });
});
