import { batch, signal } from '@preact/signals';

export const isFrozen = signal(false);
/** Messages that came while the page was frozen. */
export const missedWhileFrozen = signal(0);

/** What must be drawn when the page goes on: of each part the latest. */
const waiting = new Map<string, () => void>();

/** Draws a part of the page, or keeps it until the page goes on. */
export function draw(part: string, apply: () => void): void {
  if (!isFrozen.value) {
    apply();
    return;
  }
  waiting.set(part, apply);
  if (part === 'snapshot') missedWhileFrozen.value += 1;
}

/** Forgets what is kept of parts that are no longer looked at. */
export function forget(...parts: readonly string[]): void {
  for (const part of parts) waiting.delete(part);
}

/** Stops or continues to draw. What comes meanwhile is kept. */
export function toggleFreeze(): void {
  batch(() => {
    isFrozen.value = !isFrozen.value;
    missedWhileFrozen.value = 0;
    if (isFrozen.value) return;
    for (const apply of waiting.values()) apply();
    waiting.clear();
  });
}
