import { countText, msText } from './number-text.ts';
import type { RunListener } from './run.ts';
import type { CapacitySettings } from './settings.ts';
import type { Phase, TimelinePoint } from './timeline.ts';

/** Prints the progress of a run: one line for each point, which is one a second. */
export class Progress implements RunListener {
  readonly #stream: NodeJS.WritableStream;
  readonly #settings: CapacitySettings;
  #phase: Phase | undefined;
  #phaseStartedAt = 0;

  constructor(stream: NodeJS.WritableStream, settings: CapacitySettings) {
    this.#stream = stream;
    this.#settings = settings;
  }

  note(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  point(point: TimelinePoint): void {
    if (point.phase !== this.#phase) {
      this.#phase = point.phase;
      this.#phaseStartedAt = performance.now();
    }
    const elapsed = (performance.now() - this.#phaseStartedAt) / 1_000;
    this.note(progressLine(point, this.#settings, elapsed));
  }
}

/** @param elapsed how long the phase has lasted, in s. */
export function progressLine(
  point: TimelinePoint,
  { connections, duration }: CapacitySettings,
  elapsed: number,
): string {
  const { phase, openConnections, failedConnections, deliveredRate, latency } = point;
  const name = phase.padEnd('connecting'.length);
  const delivered = `${countText(deliveredRate)} deliveries/s`;
  switch (phase) {
    case 'connecting': {
      const done = `${countText(openConnections)} of ${countText(connections)} clients`;
      return `${name} ${done}, ${countText(failedConnections)} failed`;
    }
    case 'publishing': {
      const seconds = Math.min(duration, Math.ceil(elapsed));
      const p99 = `p99 ${msText(latency?.p99)}`;
      return `${name} ${seconds} of ${duration} s, ${delivered}, ${p99}, ${countText(openConnections)} clients`;
    }
    case 'resting':
    case 'draining':
      return `${name} ${countText(openConnections)} clients, ${delivered}`;
  }
}
