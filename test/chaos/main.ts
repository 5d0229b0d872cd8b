import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';

/** `npm run chaos -- FILTER`: the scenarios whose path contains FILTER, or all of them. */
const child = spawn(
  WORKSPACE_NODE,
  ['node_modules/vitest/vitest.mjs', 'run', '--project=chaos', ...process.argv.slice(2)],
  { cwd: WORKSPACE_ROOT, stdio: 'inherit' },
);
const end = (): void => {
  child.kill('SIGTERM');
};
process.on('SIGINT', end).on('SIGTERM', end).on('disconnect', end);
process.channel?.unref();
const [code] = (await once(child, 'close')) as [number | null];
process.exitCode = code ?? 1;
