import type { Metrics } from '@tradewind/runtime';

/**
 * A counter that is read when someone asks, for what happens so often that a call of the metrics' for each
 * would cost too much.
 *
 * @param value a number that only grows.
 */
export function readCounter(
  metrics: Metrics,
  name: string,
  help: string,
  value: () => number,
): void {
  let told = 0;
  metrics.counter({
    name,
    help,
    collect() {
      const total = value();
      this.inc(total - told);
      told = total;
    },
  });
}
