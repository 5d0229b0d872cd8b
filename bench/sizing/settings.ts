export const SIZING_USAGE = `npm run sizing [-- redis]

  Prints the tables of docs/sizing.md, computed from what was measured.
  redis   measures what a publication costs one Redis core, and each subscribed edge more; about a minute, alone on the machine
`;

/** What the command line asks for; the help for anything that it does not know. */
export function readSizingCommand(args: readonly string[]): 'tables' | 'redis' | 'help' {
  if (args.length === 0) return 'tables';
  return args.length === 1 && args[0] === 'redis' ? 'redis' : 'help';
}
