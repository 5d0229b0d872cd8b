import type { Position, PositionStore } from '../types.ts';

/** Channels that are kept. Those that were not saved for the longest time go first. */
const MOST_CHANNELS = 1_000;

interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * Keeps positions in `sessionStorage`, so that a reload of the page loses nothing that history still has. Where there is no
 * such storage, or it is full or forbidden, positions are kept in memory only.
 *
 * @param key the name of the entry; a page with two clients needs two.
 */
export function sessionPositions(key = 'tradewind.positions'): PositionStore {
  let storage: Storage | undefined;
  let kept = new Map<string, Position>();
  try {
    storage = (globalThis as { readonly sessionStorage?: Storage }).sessionStorage;
    const saved: unknown = JSON.parse(storage?.getItem(key) ?? '[]');
    if (Array.isArray(saved)) kept = new Map(saved.filter(isEntry));
  } catch {
    // What cannot be read is as if it were not there.
  }
  return {
    load: (channel) => kept.get(channel),
    save(positions) {
      for (const [channel, position] of positions) {
        kept.delete(channel);
        if (position !== undefined) kept.set(channel, position);
      }
      for (const channel of kept.keys()) {
        if (kept.size <= MOST_CHANNELS) break;
        kept.delete(channel);
      }
      try {
        storage?.setItem(key, JSON.stringify([...kept]));
      } catch {
        storage = undefined;
      }
    },
  };
}

function isEntry(entry: unknown): entry is [string, Position] {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string') return false;
  const position = entry[1] as Partial<Position> | undefined;
  return typeof position?.epoch === 'string' && Number.isSafeInteger(position.offset);
}
