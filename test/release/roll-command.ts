import { type OwnedProcess, startProcess, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { ADMIN_TOKEN, type BalancedTier } from './balanced-tier.ts';

/** Starts `npm run roll -- --node … ARGS` on a tier, as an operator does who has the token in the environment. */
export async function startRollCommand(
  tier: BalancedTier,
  args: readonly string[],
): Promise<OwnedProcess> {
  const nodes = tier.places.flatMap(({ name, adminPort }) => {
    return ['--node', `${name}=http://127.0.0.1:${adminPort}`];
  });
  return await startProcess({
    name: 'roll',
    command: WORKSPACE_NODE,
    args: ['infra/roll/src/main.ts', ...nodes, ...args],
    env: { PATH: process.env.PATH, ADMIN_TOKEN },
    cwd: WORKSPACE_ROOT,
  });
}
