import { sessionPositions } from '@tradewind/client';
import type { PageDriver } from './driver.ts';
import type { Follower } from './follower.ts';
import { holds, pause, type Scene, same } from './scene.ts';

/** One part of a scenario that only a page can run. */
export interface PageStep {
  run(scene: Scene, page: PageDriver): Promise<void>;
  /** Its clients go on after it, until the page ends. */
  readonly isLeft?: boolean;
}

interface PageEvent {
  readonly persisted?: boolean;
  stopImmediatePropagation(): void;
}

interface Target {
  addEventListener(
    type: string,
    act: (event: PageEvent) => void,
    options?: { readonly capture?: boolean; readonly once?: boolean },
  ): void;
  removeEventListener(
    type: string,
    act: (event: PageEvent) => void,
    options: { readonly capture: boolean },
  ): void;
}

/** What these steps use of a window: the tests are not compiled for a browser. */
interface Window extends Target {
  readonly document: Target;
  readonly location: { href: string };
  readonly sessionStorage: {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
  };
}

const PAGE = globalThis as unknown as Window;

/** How much of a channel a node gives again [`EDGE_MAX_HISTORY`]. */
const HISTORY = 1_000;

/** Trades while a tab is frozen: fewer and more than history has. */
const FEW = 900;
const MANY = 5_000;

const FROZEN_MS = 2_000;

/** How long a tab is hidden, in ms: several of the seconds in which its timers run. */
const HIDDEN_MS = 4_000;

/** Timers of a tab that is hidden and not frozen run once a second. */
const LONGEST_TICK_MS = 1_500;

/** A tab connects within this time after it goes on, ms. */
const CONNECTS_WITHIN_MS = 100;

/** How often the tab goes to another page and back. */
const ROUNDS = 10;

export const PAGE_STEPS: Readonly<Record<string, PageStep>> = {
  frozen: { run: (scene, page) => freeze(scene, page, FEW) },

  'frozen-for-long': { run: (scene, page) => freeze(scene, page, MANY) },

  /** A browser that tells nothing of being seen again. */
  'frozen-without-visibility': {
    async run(scene, page) {
      const silence = (event: PageEvent): void => event.stopImmediatePropagation();
      PAGE.document.addEventListener('visibilitychange', silence, { capture: true });
      try {
        await freeze(scene, page, FEW);
      } finally {
        PAGE.document.removeEventListener('visibilitychange', silence, { capture: true });
      }
    },
  },

  'closed-or-paused': {
    async run(scene, page) {
      const closed = scene.client();
      const paused = scene.client();
      scene.follow(closed);
      scene.follow(paused);
      await scene.live(closed);
      await scene.live(paused);
      await closed.close();
      paused.pause();
      const resumed = once(PAGE.document, 'resume');
      await page.freeze(scene.name(), 1, 200);
      await resumed;
      await pause(500);
      same('states', [closed.state.name, paused.state.name], ['closed', 'paused']);
      same('sockets', scene.spy.open(), 0);
    },
  },

  'hidden-and-paused': {
    async run(scene, page) {
      const client = scene.client({ hidden: 'pause', pauseAfterMs: 300 });
      const follower = scene.follow(client);
      const closed = scene.client({ hidden: 'pause', pauseAfterMs: 300 });
      scene.follow(closed);
      await scene.live(client);
      await scene.live(closed);
      await closed.close();
      await scene.deliver('a', 5, [follower]);
      const states: string[] = [];
      client.on('state', ({ state }) => {
        states.push(state.name === 'paused' ? state.why : state.name);
      });
      // On a busy machine the tab may be seen again before it hears that it was hidden.
      const sockets = scene.until(client, 'paused').then(() => scene.spy.open());
      await page.hide(scene.name(), FEW, HIDDEN_MS);
      same('sockets while hidden', await sockets, 0);
      await scene.until(client, 'online');
      await scene.live(client);
      await scene.deliver('a', 1, [follower]);
      same('states', states, ['hidden', 'idle', 'connecting', 'online']);
      same('the closed one', closed.state.name, 'closed');
      same('gaps', follower.gaps, []);
      same('publications', follower.count('publication'), 6 + FEW);
      await scene.settlesOnOneSocket();
    },
  },

  'back-and-forth': {
    async run(scene) {
      const client = scene.client();
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      PAGE.sessionStorage.setItem('elsewhere', JSON.stringify([scene.name(), 3]));
      for (let round = 0; round < ROUNDS; round += 1) {
        const shown = once(PAGE, 'pageshow');
        PAGE.location.href = '/elsewhere';
        holds('the page was kept', (await shown).persisted === true);
        await scene.deliver('a', 1);
      }
      same('publications', follower.count('publication'), 5 + ROUNDS * 4);
      same('gaps', follower.gaps, []);
      await scene.settlesOnOneSocket();
    },
  },

  'before-reload': {
    isLeft: true,
    async run(scene) {
      const client = scene.client({ positions: sessionPositions(scene.name()) });
      const follower = scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 5);
      PAGE.addEventListener('pagehide', () => {
        PAGE.sessionStorage.setItem(scene.name('seen'), String(follower.position!.offset));
      });
    },
  },

  'after-reload': { run: (scene) => continueAfterReload(scene, true) },

  /** A control: what came while the page was loaded again is lost. */
  'after-reload-without-positions': { run: (scene) => continueAfterReload(scene, false) },
};

/** Resolves with the next event of a type. */
function once(target: Target, type: string): Promise<PageEvent> {
  return new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
}

async function freeze(scene: Scene, page: PageDriver, count: number): Promise<void> {
  const client = scene.client();
  const follower = scene.follow(client);
  await scene.live(client);
  await scene.deliver('a', 5);
  const states: string[] = [];
  let connectingAt = Number.POSITIVE_INFINITY;
  client.on('state', ({ state }) => {
    states.push(state.name === 'paused' ? state.why : state.name);
    if (state.name === 'connecting') connectingAt = performance.now();
  });
  let resumedAt = 0;
  const resumed = once(PAGE.document, 'resume').then(() => {
    resumedAt = performance.now();
  });
  let stood = 0;
  let tickedAt = performance.now();
  const tick = (): void => {
    stood = Math.max(stood, performance.now() - tickedAt);
    tickedAt = performance.now();
  };
  const ticking = setInterval(tick, 20);
  await page.freeze(scene.name(), count, FROZEN_MS);
  await resumed;
  tick();
  clearInterval(ticking);
  holds(`timers stood still for ${stood} ms`, stood > LONGEST_TICK_MS);
  await scene.live(client);
  await scene.deliver('a', 1);
  same('states', states.slice(0, 3), ['frozen', 'idle', 'connecting']);
  const waited = connectingAt - resumedAt;
  holds(`connecting after ${waited} ms`, waited <= CONNECTS_WITHIN_MS);
  const isLost = count > HISTORY;
  same('gaps', follower.gaps, isLost ? [`away 6-${5 + count}`] : []);
  same('publications', follower.count('publication'), isLost ? 6 : 6 + count);
  await scene.settlesOnOneSocket();
}

async function continueAfterReload(scene: Scene, keepsPositions: boolean): Promise<void> {
  const seen = Number(PAGE.sessionStorage.getItem(scene.name('seen')));
  holds('the page before has seen something', seen >= 5);
  const client = scene.client(keepsPositions ? { positions: sessionPositions(scene.name()) } : {});
  const follower = scene.follow(client);
  await scene.live(client);
  await scene.deliver('a', 3);
  same('the first offset', firstOffset(follower), seen + 1);
  same('gaps', follower.gaps, []);
  await scene.settlesOnOneSocket();
}

function firstOffset(follower: Follower): number | undefined {
  const first = follower.items.find(({ kind }) => kind === 'publication');
  return first?.kind === 'publication' ? first.offset : undefined;
}
