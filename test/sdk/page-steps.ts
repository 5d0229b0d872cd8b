import { sessionPositions } from '@tradewind/client';
import type { Follower } from './follower.ts';
import { holds, pause, type Scene, same } from './scene.ts';

/** One part of a scenario that only a page can run. */
export interface PageStep {
  run(scene: Scene): Promise<void>;
  /** Its clients go on after it, until the page ends. */
  readonly isLeft?: boolean;
}

/** What these steps use of a window: the tests are not compiled for a browser. */
interface Window {
  addEventListener(type: 'pagehide', act: () => void): void;
  readonly sessionStorage: {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
  };
}

const PAGE = globalThis as unknown as Window;

export const PAGE_STEPS: Readonly<Record<string, PageStep>> = {
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

async function continueAfterReload(scene: Scene, keepsPositions: boolean): Promise<void> {
  const seen = Number(PAGE.sessionStorage.getItem(scene.name('seen')));
  holds('the page before has seen something', seen >= 5);
  const client = scene.client(keepsPositions ? { positions: sessionPositions(scene.name()) } : {});
  const follower = scene.follow(client);
  await scene.live(client);
  await scene.deliver('a', 3);
  same('the first offset', firstOffset(follower), seen + 1);
  same('gaps', follower.gaps, []);
  await settlesOnOneSocket(scene);
}

function firstOffset(follower: Follower): number | undefined {
  const first = follower.items.find(({ kind }) => kind === 'publication');
  return first?.kind === 'publication' ? first.offset : undefined;
}

/** Sockets that the client has given up are gone, from the network as well. */
async function settlesOnOneSocket(scene: Scene): Promise<void> {
  const start = Date.now();
  for (;;) {
    const counts = [scene.spy.open(), await scene.driver.connections()];
    if (counts.every((count) => count === 1)) return;
    holds(`sockets: ${counts}`, Date.now() - start < scene.withinMs);
    await pause(50);
  }
}
