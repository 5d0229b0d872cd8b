import { countText, msText } from './number-text.ts';
import type { RunListener } from './run.ts';
import type { CapacitySettings } from './settings.ts';
import type { Phase, TimelinePoint } from './timeline.ts';

/** Width of a bar, in characters. */
const BAR_WIDTH = 30;

/** Where there is no terminal, a line is printed for every so many points. */
const LINE_EVERY = 5;

const CLEAR_LINE = '\r\x1b[K';

/** Shows how a run goes: a bar that moves on a terminal, and a line now and then elsewhere. */
export class Progress implements RunListener {
  readonly #stream: NodeJS.WriteStream;
  readonly #settings: CapacitySettings;
  #phase: Phase | undefined;
  #phaseStartedAt = 0;
  #points = 0;

  constructor(stream: NodeJS.WriteStream, settings: CapacitySettings) {
    this.#stream = stream;
    this.#settings = settings;
  }

  note(line: string): void {
    this.#stream.write(this.#stream.isTTY ? `${CLEAR_LINE}${line}\n` : `${line}\n`);
  }

  point(point: TimelinePoint): void {
    const isNew = point.phase !== this.#phase;
    if (isNew) {
      if (this.#phase !== undefined && this.#stream.isTTY) this.#stream.write('\n');
      this.#phase = point.phase;
      this.#phaseStartedAt = performance.now();
      this.#points = 0;
    }
    this.#points += 1;
    const elapsed = (performance.now() - this.#phaseStartedAt) / 1_000;
    const line = progressLine(point, this.#settings, elapsed);
    if (this.#stream.isTTY) {
      this.#stream.write(`${CLEAR_LINE}${line.slice(0, this.#stream.columns - 1)}`);
    } else if (this.#points % LINE_EVERY === 1) {
      this.#stream.write(`${line}\n`);
    }
  }

  /** Leaves the line on which the bar moved. */
  end(): void {
    if (this.#stream.isTTY && this.#phase !== undefined) this.#stream.write('\n');
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
      const share = (openConnections + failedConnections) / connections;
      return `${name} ${bar(share)} ${done}, ${countText(failedConnections)} failed`;
    }
    case 'publishing': {
      const seconds = Math.min(duration, Math.ceil(elapsed));
      const p99 = `p99 ${msText(latency?.p99)}`;
      return `${name} ${bar(elapsed / duration)} ${seconds} of ${duration} s, ${delivered}, ${p99}, ${countText(openConnections)} clients`;
    }
    case 'resting':
    case 'draining':
      return `${name} ${countText(openConnections)} clients, ${delivered}`;
  }
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}
