import type { ConsoleWatch, NodeAnswer } from '../contract/console-watch.ts';
import type { NodeEvent, NodeState } from '../contract/node-state.ts';
import { RedisRefusedError } from '../redis-errors.ts';
import {
  LAST_STATE_DEADLINE_MS,
  NODE_STATE_INTERVAL_MS,
  NODE_STATE_REFUSED_WAIT_MS,
} from '../redis-limits.ts';
import type { RedisCommands } from './redis-commands.ts';

/** What a heartbeat tells. */
export interface NodeHeartbeatSources {
  /** The state of this moment. */
  readState(): NodeState;
  /** The node's last events, if one came since the last call. */
  takeEvents(): readonly NodeEvent[] | undefined;
  /** The events that were taken last were not written; the next call must return them again. */
  eventsNotWritten(): void;
  /** Answers what pages ask; called with undefined while no page asks. A node without it is not asked. */
  answer?(watch: ConsoleWatch | undefined): Promise<NodeAnswer | undefined>;
}

/** The commands that a heartbeat uses. */
export type HeartbeatCommands = Pick<
  RedisCommands,
  'writeNodeState' | 'readConsoleWatch' | 'writeNodeAnswer'
>;

/**
 * Writes the state of a node once a second while Redis takes it, and answers what pages of a console ask. A write that fails is
 * dropped: the next one says more. While one is under way there is no other. After a refusal it waits for half a minute, so that
 * a user without the right does not fill the log of Redis. State and answers wait apart: a slow answer delays no state.
 */
export class NodeHeartbeat {
  readonly #timer: NodeJS.Timeout;
  readonly #commands: HeartbeatCommands;
  readonly #sources: NodeHeartbeatSources;

  constructor(commands: HeartbeatCommands, sources: NodeHeartbeatSources) {
    this.#commands = commands;
    this.#sources = sources;
    const tell = patiently(() => tellState(commands, sources));
    const answer = patiently(() => answerPages(commands, sources));
    this.#timer = setInterval(() => {
      tell();
      if (sources.answer !== undefined) answer();
    }, NODE_STATE_INTERVAL_MS);
  }

  /**
   * Tells the state a last time, so that a node which was drained is not taken for one that died. Resolves when Redis has it,
   * or after half a second; never rejects.
   */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    let deadline: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, LAST_STATE_DEADLINE_MS);
    });
    await Promise.race([tellState(this.#commands, this.#sources).catch(() => undefined), late]);
    clearTimeout(deadline);
  }
}

async function tellState(
  commands: HeartbeatCommands,
  sources: NodeHeartbeatSources,
): Promise<void> {
  const events = sources.takeEvents();
  try {
    await commands.writeNodeState(sources.readState(), events, Date.now());
  } catch (error) {
    if (events !== undefined) sources.eventsNotWritten();
    throw error;
  }
}

async function answerPages(
  commands: HeartbeatCommands,
  sources: NodeHeartbeatSources,
): Promise<void> {
  const answer = await sources.answer?.(await commands.readConsoleWatch());
  if (answer !== undefined) await commands.writeNodeAnswer(answer);
}

/** Calls `act` unless it is under way, or Redis refused it within the last half minute. */
function patiently(act: () => Promise<void>): () => void {
  let isActing = false;
  let silentUntil = 0;
  return () => {
    if (isActing || performance.now() < silentUntil) return;
    isActing = true;
    act()
      .catch((error: unknown) => {
        if (error instanceof RedisRefusedError) {
          silentUntil = performance.now() + NODE_STATE_REFUSED_WAIT_MS;
        }
      })
      .finally(() => {
        isActing = false;
      });
  };
}
