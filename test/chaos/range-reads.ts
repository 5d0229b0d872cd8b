import type { TcpFaultProxy } from '../support/tcp-fault-proxy.ts';

/** Reads of channels' histories that went through a proxy. */
export interface RangeReads extends Disposable {
  /** The most that one node has read one channel's history since the last call. */
  takeMost(): number;
}

/** Counts range commands for each node and history from now on. The caller ends it. */
export function countRangeReads(proxy: TcpFaultProxy): RangeReads {
  let counts = new Map<string, number>();
  const watch = proxy.watchCommands(([name = '', key], { name: link }) => {
    if (!/^x(rev)?range$/i.test(name)) return;
    const reader = `${link} ${key}`;
    counts.set(reader, (counts.get(reader) ?? 0) + 1);
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
