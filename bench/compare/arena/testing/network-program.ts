/**
 * A program for own-network.test.ts. It runs itself again in a network of its own, where it prints its network and its
 * arguments and ends with code 3. With the argument `stay` it runs until its parent ends.
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
