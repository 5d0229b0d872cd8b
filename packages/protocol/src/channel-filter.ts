/** Returns whether patterns name a channel. */
export type ChannelFilter = (channel: string) => boolean;

/** A pattern of settings and of tokens: a channel name in which `*` matches any characters, also none. */
export const CHANNEL_PATTERN_GRAMMAR = /^[A-Za-z0-9_.:/@*-]{1,128}$/;

/**
 * Compiles patterns into one filter. For each pattern, matching takes time linear in the length of the name: the pieces
 * between the stars are searched in order, without backtracking.
 */
export function compileChannelPatterns(patterns: readonly string[]): ChannelFilter {
  if (patterns.includes('*')) return () => true;
  const compiled = patterns.map((pattern) => pattern.split('*'));
  return (channel) => compiled.some((pieces) => matches(channel, pieces));
}

function matches(channel: string, pieces: readonly string[]): boolean {
  const first = pieces[0] as string;
  if (pieces.length === 1) return channel === first;
  const last = pieces.at(-1) as string;
  const end = channel.length - last.length;
  if (!channel.startsWith(first) || !channel.endsWith(last) || end < first.length) return false;
  let from = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = channel.indexOf(piece, from);
    if (at === -1 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return true;
}
