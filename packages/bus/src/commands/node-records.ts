import {
  CONSOLE_WATCH_EXPIRY_MS,
  CONSOLE_WATCH_KEY,
  type ConsoleWatch,
  encodeNodeAnswer,
  NODE_ANSWER_EXPIRY_MS,
  type NodeAnswer,
  nodeAnswerKey,
  readConsoleWatch,
  readNodeAnswer,
} from '../contract/console-watch.ts';
import {
  encodeNodeState,
  MAX_NODES,
  NODE_EVENTS_EXPIRY_MS,
  NODE_STATE_EXPIRY_MS,
  NODES_KEY,
  type NodeEvent,
  type NodeState,
  nodeEventsKey,
  nodeStateKey,
  readNodeEvents,
  readNodeState,
} from '../contract/node-state.ts';
import type { CommandLink } from './command-link.ts';

/** What edges and consoles write for each other: states of nodes, what a console asks, and what nodes answer. */
export class NodeRecords {
  readonly #link: CommandLink;
  readonly #isCluster: boolean;

  /** @param isCluster whether keys that one transaction writes must share a slot. */
  constructor(link: CommandLink, isCluster: boolean) {
    this.#link = link;
    this.#isCluster = isCluster;
  }

  /**
   * Writes what a node says of itself, and its last events if there are new ones. Nodes that have been silent for as long
   * as a state is kept leave the set. Rejects as {@link CommandLink.run} does.
   *
   * @param at ms of the node's clock.
   */
  async writeState(
    state: NodeState,
    events: readonly NodeEvent[] | undefined,
    at: number,
  ): Promise<void> {
    const { node } = state;
    const text = encodeNodeState(state);
    await this.#link.transact(text.length, (transaction) => {
      transaction
        .set(nodeStateKey(node, this.#isCluster), text, 'PX', NODE_STATE_EXPIRY_MS)
        .zadd(NODES_KEY, at, node)
        .zremrangebyscore(NODES_KEY, '-inf', at - NODE_STATE_EXPIRY_MS);
      if (events === undefined) return transaction;
      return transaction.set(
        nodeEventsKey(node, this.#isCluster),
        JSON.stringify(events),
        'PX',
        NODE_EVENTS_EXPIRY_MS,
      );
    });
  }

  /**
   * The last states of the nodes that wrote one within ten minutes, at most 1,000, as far as they are wanted. Rejects as
   * {@link CommandLink.run} does.
   */
  async readStates(isWanted: (node: string) => boolean): Promise<readonly NodeState[]> {
    const known = await this.#link.run(0, (redis) =>
      redis.zrange(NODES_KEY, String(-MAX_NODES), '-1'),
    );
    const nodes = known.filter(isWanted);
    if (nodes.length === 0) return [];
    const texts = await this.#link.run(0, (redis) =>
      redis.mget(nodes.map((node) => nodeStateKey(node, this.#isCluster))),
    );
    return texts.map(readNodeState).filter((state) => state !== undefined);
  }

  /** The last events of each of `nodes`, in their order. Rejects as {@link CommandLink.run} does. */
  async readEvents(nodes: readonly string[]): Promise<readonly (readonly NodeEvent[])[]> {
    if (nodes.length === 0) return [];
    const texts = await this.#link.run(0, (redis) =>
      redis.mget(nodes.map((node) => nodeEventsKey(node, this.#isCluster))),
    );
    return texts.map(readNodeEvents);
  }

  /** Asks all edges, for five seconds. Rejects as {@link CommandLink.run} does. */
  async writeWatch(watch: ConsoleWatch): Promise<void> {
    const text = JSON.stringify(watch);
    await this.#link.run(text.length, (redis) =>
      redis.set(CONSOLE_WATCH_KEY, text, 'PX', CONSOLE_WATCH_EXPIRY_MS),
    );
  }

  /** Reads what pages of a console ask for; undefined if no page asks. Rejects as {@link CommandLink.run} does. */
  async readWatch(): Promise<ConsoleWatch | undefined> {
    return readConsoleWatch(await this.#link.run(0, (redis) => redis.get(CONSOLE_WATCH_KEY)));
  }

  /** Writes what a node answers. Rejects as {@link CommandLink.run} does. */
  async writeAnswer(answer: NodeAnswer): Promise<void> {
    const text = encodeNodeAnswer(answer);
    await this.#link.run(text.length, (redis) =>
      redis.set(nodeAnswerKey(answer.node, this.#isCluster), text, 'PX', NODE_ANSWER_EXPIRY_MS),
    );
  }

  /** What each of `nodes` answers; those that do not answer are left out. Rejects as {@link CommandLink.run} does. */
  async readAnswers(nodes: readonly string[]): Promise<readonly NodeAnswer[]> {
    if (nodes.length === 0) return [];
    const keys = nodes.map((node) => nodeAnswerKey(node, this.#isCluster));
    const texts = await this.#link.run(0, (redis) => redis.mget(keys));
    return texts.map(readNodeAnswer).filter((answer) => answer !== undefined);
  }
}
