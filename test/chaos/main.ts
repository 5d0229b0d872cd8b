import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';

const USAGE = `usage: npm run chaos [-- FILTER]

Injects faults of links, Redis and nodes into real processes, and holds what clients get against an oracle. It takes minutes; FILTER runs only the
scenarios whose path contains it. CHAOS_SEED=SEED makes the choices of a run that failed again; CONTRIBUTING.md has the other variables.`;

if (process.argv.includes('--help')) {
  console.log(USAGE);
  process.exit(0);
}

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
