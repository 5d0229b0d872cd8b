import { SENTINEL_LOOK_INTERVAL_MS } from '../redis-limits.ts';
import type { Sentinels } from './sentinels.ts';

/**
 * Asks, while it runs, whether the Sentinels still name the master that a link leads to. A master that
 * is cut off from the others, but not from us, shows nothing else: what we publish on it arrives.
 *
 * It asks, because what Sentinels tell by themselves is lost with the connection to them.
 */
export class MasterWatch {
  readonly #sentinels: Pick<Sentinels, 'findOtherMaster'>;
  readonly #moved: (cause: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  /** @param moved the master is another one. May end the watch; must not throw. */
  constructor(sentinels: Pick<Sentinels, 'findOtherMaster'>, moved: (cause: string) => void) {
    this.#sentinels = sentinels;
    this.#moved = moved;
  }

  /** Begins with a connection; {@link end} has to follow. */
  start(): void {
    this.end();
    const timer = setInterval(() => void this.#look(timer), SENTINEL_LOOK_INTERVAL_MS);
    this.#timer = timer;
  }

  /** No timer is left, and what a look under way finds is not told. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(timer: NodeJS.Timeout): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const other = await this.#sentinels.findOtherMaster();
    this.#looking = false;
    if (other !== undefined && this.#timer === timer)
      this.#moved(`the Sentinels name another master: ${other.host}:${other.port}`);
  }
}
