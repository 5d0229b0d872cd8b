/** Ends a timer. Calling it twice does no harm. */
export type Cancel = () => void;

/** What the SDK takes from its runtime. Tests have one with a clock of their own. */
export interface Surroundings {
  /** The wall clock, ms since the Unix epoch. It may jump. */
  now(): number;
  /** ms that never jump; some systems stop it while they sleep. */
  monotonic(): number;
  /** From 0, inclusive, to 1. */
  random(): number;
  /** Calls `act` once after `ms`. */
  after(ms: number, act: () => void): Cancel;
  /** The page or worker that this runs in; undefined where there are no such events. */
  readonly page: Page | undefined;
}

/** The events of a page or worker, and what they are about. */
export interface Page {
  isHidden(): boolean;
  /** Listens to what hints at the state of page and network, and returns what ends that. */
  listen(act: (event: PageEvent) => void): Cancel;
}

export interface PageEvent {
  readonly type: string;
  /** Of `pagehide`: the page may come back. */
  readonly persisted?: boolean;
}

interface Target {
  addEventListener(type: string, act: (event: PageEvent) => void): void;
  removeEventListener(type: string, act: (event: PageEvent) => void): void;
}

interface PageGlobals extends Partial<Target> {
  readonly document?: Target & { readonly visibilityState: string };
  readonly navigator?: { readonly connection?: Partial<Target> };
}

/** setTimeout takes no more: 2^31 - 1 ms. */
const LONGEST_TIMER_MS = 2_147_483_647;

export function runtimeSurroundings(): Surroundings {
  return {
    now: Date.now,
    monotonic: () => performance.now(),
    random: Math.random,
    after(ms, act) {
      const timer = setTimeout(act, Math.min(ms, LONGEST_TIMER_MS));
      return () => clearTimeout(timer);
    },
    page: runtimePage(),
  };
}

/** Nothing is asked of `window`: a worker has no such name, and servers render pages without it. */
function runtimePage(): Page | undefined {
  const globals = globalThis as PageGlobals;
  const { document, navigator } = globals;
  if (globals.addEventListener === undefined) return undefined;
  const sources: readonly (readonly [Partial<Target> | undefined, string])[] = [
    [globals, 'online offline focus pageshow pagehide'],
    [document, 'visibilitychange freeze resume'],
    // A window hears `change` of every input.
    [navigator?.connection, 'change'],
  ];
  return {
    isHidden: () => document?.visibilityState === 'hidden',
    listen(act) {
      const each = (method: keyof Target): void => {
        for (const [target, types] of sources) {
          for (const type of types.split(' ')) target?.[method]?.(type, act);
        }
      };
      each('addEventListener');
      return () => each('removeEventListener');
    },
  };
}
