export const SIZING_USAGE = `npm run sizing [-- redis|shards]

  Prints the tables of docs/sizing.md, computed from what was measured.
  redis   measures what a publication costs one Redis core, and each subscribed edge more; about a minute, alone on the machine
  shards  measures the CPU of Redis and of edges with one shard and with three, at one rate
`;

/** What the command line asks for; the help for anything that it does not know. */
export function readSizingCommand(args: readonly string[]): 'tables' | 'redis' | 'shards' | 'help' {
  if (args.length === 0) return 'tables';
  const [command] = args;
  const isKnown = args.length === 1 && (command === 'redis' || command === 'shards');
  return isKnown ? command : 'help';
}
