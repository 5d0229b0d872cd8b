import { expect, it } from 'vitest';
import { createStaticFleet, fillIn } from './fleet.ts';

const NODE = { name: "o'edge 1", adminUrl: 'http://10.0.0.4:9080' };

it('inserts a node into a command as one word of the shell', () => {
  expect(fillIn('replace {node} at {url}; {other}', NODE)).toBe(
    `replace 'o'\\''edge 1' at 'http://10.0.0.4:9080'; {other}`,
  );
});

it('runs the command, and reports its failure', async () => {
  const fleet = createStaticFleet([NODE], {
    replace: 'test {node} = "o\'edge 1"',
    remove: 'exit 3',
  });
  await fleet.replace(NODE);
  await expect(fleet.remove(NODE)).rejects.toThrow("o'edge 1: the command ended with 3");
  await createStaticFleet([NODE], { replace: undefined, remove: undefined }).replace(NODE);
});
