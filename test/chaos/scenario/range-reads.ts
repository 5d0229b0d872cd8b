import type { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';

/** Reads of channels' histories through a proxy. */
export interface RangeReads extends Disposable {
  /** The most reads of one channel's history by one node since the last call. */
  takeMost(): number;
}

/**
 * Counts reads for each node and history from now on. The caller ends it.
 * A page that begins where the previous one ended belongs to the same read. That is true for histories without holes: a
 * full page ends after its number of entries. A page of entries that were read already, or one after a page that was
 * not full, counts as another read.
 */
export function countRangeReads(proxy: TcpFaultProxy): RangeReads {
  let counts = new Map<string, number>();
  const nexts = new Map<string, number>();
  const watch = proxy.watchCommands(([name = '', key, from, , , count], { name: link }) => {
    if (!/^x(rev)?range$/i.test(name)) return;
    const reader = `${link} ${key}`;
    if (nexts.get(reader) !== Number(from)) counts.set(reader, (counts.get(reader) ?? 0) + 1);
    nexts.set(reader, Number(from) + Number(count));
  });
  return {
    takeMost() {
      const most = Math.max(0, ...counts.values());
      counts = new Map();
      return most;
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}
