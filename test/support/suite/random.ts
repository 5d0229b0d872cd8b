/** A seeded generator (mulberry32, public domain): the same seed replays the same test. */
export function createRandom(seed: number): { next(): number; below(bound: number): number } {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  return { next, below: (bound) => Math.floor(next() * bound) };
}
