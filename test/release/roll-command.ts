import {
  type OwnedProcess,
  type ProcessExit,
  startProcess,
  WORKSPACE_NODE,
  WORKSPACE_ROOT,
} from '@tradewind/dev';
import type { BalancedTier } from './balanced-tier.ts';

/**
 * Starts `npm run roll -- ARGS`, like an operator. The caller ends it.
 *
 * @param env its environment besides the PATH.
 */
export async function startRollCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<OwnedProcess> {
  return await startProcess({
    name: 'roll',
    command: WORKSPACE_NODE,
    args: ['infra/roll/src/main.ts', ...args],
    env: { PATH: process.env.PATH, ...env },
    cwd: WORKSPACE_ROOT,
  });
}

/** The options that name the places of a tier one by one. */
export function nodeOptions({ places }: BalancedTier): readonly string[] {
  return places.flatMap(({ name, adminPort }) => [
    '--node',
    `${name}=http://127.0.0.1:${adminPort}`,
  ]);
}

/** Waits for its end. Rejects if it takes longer, in ms. */
export async function untilEnded(roll: OwnedProcess, deadlineMs: number): Promise<ProcessExit> {
  const late = Promise.withResolvers<never>();
  const fail = (): void => late.reject(new Error(`not within ${deadlineMs} ms: ${roll.output}`));
  const timer = setTimeout(fail, deadlineMs);
  try {
    return await Promise.race([roll.exited, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
