/**
 * Microseconds since the Unix epoch. Both ends of a latency are read from it. Processes of one machine agree on it to a
 * few µs, unless somebody sets the machine's clock in between.
 */
export function nowMicros(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
