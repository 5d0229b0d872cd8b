import { SENTINEL_LOOK_INTERVAL_MS } from '../redis-limits.ts';
import type { Sentinels } from './sentinels.ts';

/**
 * Asks the Sentinels at an interval whether they still name the master that a link leads to. Nothing else shows that a
 * master is cut off from the others but not from us: what we publish on it still arrives.
 *
 * It polls, because what Sentinels publish by themselves is lost with the connection to them.
 */
export class MasterWatch {
  readonly #sentinels: Pick<Sentinels, 'findOtherMaster'>;
  readonly #moved: (cause: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  /** @param moved called if the master is another one. May end the watch; must not throw. */
  constructor(sentinels: Pick<Sentinels, 'findOtherMaster'>, moved: (cause: string) => void) {
    this.#sentinels = sentinels;
    this.#moved = moved;
  }

  /** Starts the watch of a new connection. The caller must {@link end} it. */
  start(): void {
    this.end();
    const timer = setInterval(() => void this.#look(timer), SENTINEL_LOOK_INTERVAL_MS);
    this.#timer = timer;
  }

  /** Ends the timer. A question in flight is no longer reported. */
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
