import type { Core } from '../core.ts';
import type { Cancel, PageEvent } from '../surroundings.ts';
import { Timers } from '../timers.ts';
import type { Connections } from './connections.ts';

/**
 * Acts on what a page says about itself and its network. Each of it is a hint and no more: none comes everywhere, and
 * some are wrong, with a VPN for example.
 */
export class PageHints {
  readonly #core: Core;
  readonly #connections: Connections;
  readonly #timers: Timers<'hidden' | 'offline'>;
  readonly #endListening: Cancel | undefined;

  constructor(core: Core, connections: Connections) {
    this.#core = core;
    this.#connections = connections;
    this.#timers = new Timers(core.surroundings);
    this.#endListening = core.surroundings.page?.listen((event) => this.#hint(event));
  }

  stop(): void {
    this.#endListening?.();
    this.#timers.clearAll();
  }

  #hint({ type, persisted }: PageEvent): void {
    const { settings, surroundings } = this.#core;
    const isHidden = surroundings.page?.isHidden() === true;
    const connections = this.#connections;
    switch (type) {
      case 'offline':
        this.#seemsOffline();
        return;
      case 'pagehide':
      case 'freeze':
        connections.positions.save();
        // A page with an open connection is not kept for the way back.
        if (type === 'freeze' || persisted) connections.pause('frozen');
        return;
      case 'visibilitychange':
        this.#timers.clear('hidden');
        if (!isHidden) break;
        connections.positions.save();
        if (settings.hidden === 'pause') {
          this.#timers.set('hidden', settings.pauseAfterMs, () => connections.pause('hidden'));
        }
        return;
      default:
    }
    const { state } = connections;
    if (state.name !== 'paused') connections.tryNow(type === 'online' || type === 'change');
    else if (state.why !== 'asked' && !(state.why === 'hidden' && isHidden)) connections.resume();
  }

  #seemsOffline(): void {
    const connections = this.#connections;
    if (connections.state.name !== 'online') {
      connections.pause('offline');
      return;
    }
    connections.isOffline = true;
    connections.tryNow(false);
    // It was not true, if the connection is still there after the probe.
    this.#timers.set('offline', 2 * this.#core.settings.probeTimeoutMs, () => {
      connections.isOffline = false;
    });
  }
}
