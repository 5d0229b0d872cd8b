/**
 * Run by own-network.test.ts: runs itself again in a network of its own, where it prints its network and its arguments,
 * and ends with code 3; with the argument `stay` it stays until its parent ends.
 */
import { currentNetwork, runAgainInOwnNetwork } from '../own-network.ts';

const args = process.argv.slice(2);
if (currentNetwork() === 'machine') {
  process.exitCode = await runAgainInOwnNetwork();
} else {
  console.log(JSON.stringify({ network: currentNetwork(), args }));
  process.on('disconnect', () => process.exit());
  if (!args.includes('stay')) process.exit(3);
}
