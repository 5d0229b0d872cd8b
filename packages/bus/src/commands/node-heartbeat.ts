import type { NodeEvent, NodeState } from '../contract/node-state.ts';
import { RedisRefusedError } from '../redis-errors.ts';
import { NODE_STATE_INTERVAL_MS, NODE_STATE_REFUSED_WAIT_MS } from '../redis-limits.ts';
import type { RedisCommands } from './redis-commands.ts';

/** What a heartbeat tells. */
export interface NodeHeartbeatSources {
  /** The state of this moment. */
  readState(): NodeState;
  /** The node's last events, if one came since the last call. */
  takeEvents(): readonly NodeEvent[] | undefined;
  /** The events that were taken last were not written; the next call must return them again. */
  eventsNotWritten(): void;
}

/**
 * Writes the state of a node once a second while Redis takes it. A write that fails is dropped: the next one says more.
 * While one is under way there is no other. After a refusal it waits for half a minute, so that a user without the right
 * does not fill the log of Redis.
 */
export class NodeHeartbeat {
  readonly #commands: Pick<RedisCommands, 'writeNodeState'>;
  readonly #sources: NodeHeartbeatSources;
  readonly #timer: NodeJS.Timeout;
  #writing = false;
  #silentUntil = 0;

  constructor(commands: Pick<RedisCommands, 'writeNodeState'>, sources: NodeHeartbeatSources) {
    this.#commands = commands;
    this.#sources = sources;
    this.#timer = setInterval(() => void this.#tell(), NODE_STATE_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #tell(): Promise<void> {
    if (this.#writing || performance.now() < this.#silentUntil) return;
    this.#writing = true;
    const events = this.#sources.takeEvents();
    try {
      await this.#commands.writeNodeState(this.#sources.readState(), events, Date.now());
    } catch (error) {
      if (events !== undefined) this.#sources.eventsNotWritten();
      if (error instanceof RedisRefusedError) {
        this.#silentUntil = performance.now() + NODE_STATE_REFUSED_WAIT_MS;
      }
    } finally {
      this.#writing = false;
    }
  }
}
