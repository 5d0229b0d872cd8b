import { signal } from '@preact/signals';

/** Where the browser remembers that keys of one character do nothing. */
const STORED_AS = 'tradewind-console-keys';

/** Whether keys of one character act. Whoever speaks to a machine, or presses keys by accident, turns them off (WCAG 2.1.4). */
export const hasKeys = signal(stored() !== 'off');

/** Turns them on or off, in this browser. */
export function setKeys(on: boolean): void {
  hasKeys.value = on;
  try {
    localStorage.setItem(STORED_AS, on ? 'on' : 'off');
  } catch {
    // A browser that stores nothing forgets it with the page.
  }
}

/** Where Space is the browser's: it presses a button, and scrolls what scrolls by keys. */
const SPACE_IS_TAKEN = 'button, .events, .tape, .scroll';

/** Whether Space freezes the page for somebody whose focus is there. */
export function freezesAt(focused: EventTarget | null): boolean {
  return !(focused instanceof Element) || focused.closest(SPACE_IS_TAKEN) === null;
}

function stored(): string | null {
  try {
    return localStorage.getItem(STORED_AS);
  } catch {
    return null;
  }
}
