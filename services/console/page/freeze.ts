import { batch, signal } from '@preact/signals';

export const isFrozen = signal(false);
/** Messages that came while the page was frozen. */
export const missedWhileFrozen = signal(0);

/** What must be drawn: of each part the latest, the part that has waited longest first. */
const waiting = new Map<string, () => void>();

let isFrameAsked = false;

/** A program without a screen draws at once. */
const nextFrame: (draw: () => void) => void =
  globalThis.requestAnimationFrame ?? ((drawNow) => drawNow());

/**
 * Draws a part of the page in a frame of its own, or keeps it until the page is no longer frozen. Drawing all parts
 * of one second in one frame would take twice the scripting time that a frame may have.
 */
export function draw(part: string, apply: () => void): void {
  waiting.set(part, apply);
  if (isFrozen.value) {
    if (part === 'snapshot') missedWhileFrozen.value += 1;
  } else askFrame();
}

function askFrame(): void {
  if (isFrameAsked) return;
  isFrameAsked = true;
  nextFrame(() => {
    isFrameAsked = false;
    if (isFrozen.value) return;
    const [first] = waiting;
    if (first === undefined) return;
    const [part, apply] = first;
    waiting.delete(part);
    batch(apply);
    if (waiting.size > 0) askFrame();
  });
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
