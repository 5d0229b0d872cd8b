import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WORKSPACE_ROOT } from '../processes/service-process.ts';
import { anchorsOf, findLinkFaults } from './check-links.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tradewind-links-'));
  await plant('docs/wire.md', '# The wire\n\n## Ping & pong\n');
  await plant('services/edge/src/hub/hub.ts', '');
  await plant('test/integration/edge/workers.test.ts', '');
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function plant(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

it('finds nothing in the documents of the repository', async () => {
  expect(await findLinkFaults(WORKSPACE_ROOT)).toEqual([]);
});

describe('findLinkFaults', () => {
  it.each([
    ['a link to a file', '[wire](docs/wire.md)'],
    ['a link to a folder', '[documents](docs/)'],
    ['a link to a heading', '[pings](docs/wire.md#ping--pong)'],
    ['a link to a heading of its own page', '# Why it is so\n[why](#why-it-is-so)'],
    ['a link out of the repository', '[site](https://example.com/docs/none.md)'],
    ['a link that is only shown', '`[a](none.md)`\n\n```\n[a](none.md)\n```'],
    ['a path in code', '`docs/wire.md` `docs/` `services/edge`'],
    ['a path by its end', '`hub/hub.ts`'],
    ['a path with a placeholder', '`docs/<name>.md` `docs/*.md`'],
    ['tests by the beginning of their path', '`npm test -- test/integration/edge/workers`'],
    ['what has a slash and is no path', '`application/json` `/v1/publish` `10.0.0.0/8`'],
  ])('accepts %s', async (_, text) => {
    await plant('README.md', text);
    expect(await findLinkFaults(root)).toEqual([]);
  });

  it.each([
    ['a link to no file', '[wire](docs/none.md)', 'the link docs/none.md'],
    ['a picture that is not there', '![wire](docs/none.png)', 'the link docs/none.png'],
    ['a link by reference', '[wire]: docs/none.md', 'the link docs/none.md'],
    ['a link to no heading', '[pings](docs/wire.md#pings)', 'the link docs/wire.md#pings'],
    ['a link to no heading of its own page', '[why](#why)', 'the link #why'],
    ['a link out of the root', '[x](../x.md)', 'the link ../x.md'],
    ['a path in code', 'see `docs/none.md`', '`docs/none.md`'],
    [
      'a path in a command',
      '```sh\nnode services/edge/none.ts --help\n```',
      '`services/edge/none.ts`',
    ],
    ['a path by its end', '`hub/none.ts`', '`hub/none.ts`'],
    ['no test that begins so', '`npm test -- test/integration/none`', '`test/integration/none`'],
  ])('finds %s', async (_, text, what) => {
    await plant('README.md', text);
    const line = text.startsWith('```') ? 2 : 1;
    expect(await findLinkFaults(root)).toEqual([`README.md:${line}: ${what} leads nowhere`]);
  });

  it('reads links and paths from the folder of their document', async () => {
    await plant('docs/publish/publish.py', '');
    await plant(
      'docs/README.md',
      '[wire](wire.md) `publish/publish.py` `publish/none.py` [x](docs/wire.md)',
    );
    expect(await findLinkFaults(root)).toEqual([
      'docs/README.md:1: the link docs/wire.md leads nowhere',
      'docs/README.md:1: `publish/none.py` leads nowhere',
    ]);
  });
});

it('makes anchors as GitHub does', () => {
  const text = [
    '# Not twice: the `idempotency-key`',
    '## EDGE_FLUSH_MS (`ms`)',
    '## [Linked](x.md), été',
    '## Same',
    '## Same',
    '```',
    '# a comment',
    '```',
  ];
  expect([...anchorsOf(text.join('\n'))]).toEqual([
    'not-twice-the-idempotency-key',
    'edge_flush_ms-ms',
    'linked-été',
    'same',
    'same-1',
  ]);
});
