import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';

const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);

// On other systems Node knows less of its process: no file descriptors, for example.
it.runIf(process.platform === 'linux')(
  'docs/metrics.md lists what every process exports of its own',
  async () => {
    const objects = await createMetrics().objects();
    const registered = objects.map(({ name, type }) => `${name} ${type}`);
    const [, body = ''] = readFileSync(DOCUMENT, 'utf8').split('\n## Every process\n');
    const [table = ''] = body.split('\n## ');
    const listed = [...table.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    expect(listed.toSorted()).toEqual(registered.toSorted());
  },
);
