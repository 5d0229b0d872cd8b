import { expect, it } from 'vitest';
import { filesThatRan } from './crossed-files.ts';

it('takes the files of the workspace in which a function ran, but not those of installed packages', () => {
  const ran = (url: string, ...counts: number[]) => ({
    url,
    functions: counts.map((count) => ({ ranges: [{ count }, { count: 7 }] })),
  });
  const scripts = [
    ran('file:///house/services/edge/src/hub/hub.ts', 0, 1),
    ran('file:///house/services/edge/src/idle.ts', 0),
    ran('file:///house/node_modules/ws/lib/sender.js', 1),
    ran('file:///house-2/services/edge/src/hub/hub.ts', 1),
    ran('node:events', 3),
  ];
  expect(filesThatRan(scripts, '/house')).toEqual(['services/edge/src/hub/hub.ts']);
});
