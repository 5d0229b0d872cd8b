/**
 * Microseconds since the Unix epoch. Processes of one machine agree on it to a few µs, as long as
 * nobody sets the machine's clock in between: both ends of a latency are read from it.
 */
export function nowMicros(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
