import type {
  ErrorCode,
  RejectedChannel,
  RequestId,
  SubscribedChannel,
  SubscribeRequest,
} from '@tradewind/protocol';
import type { Connection } from '../connection/connection.ts';

/** The range of the waits that clients are told, in ms. */
interface Range {
  readonly leastMs: number;
  readonly mostMs: number;
}

/**
 * The wait after which a client may ask again for a channel that was rejected because of the node's state, and not for a budget.
 * - `rate_limited`: the node subscribes to too many new channels in Redis. Its budget is full again after 2 s.
 * - `unavailable`: the node does not reach Redis, or Redis refuses the channel. `restored` may come earlier. The wait only bounds
 *   the requests until then: 6,700 a second from 40,000 clients.
 * - `node_channels_full`: there is room once clients leave or unsubscribe, which takes longer.
 */
const RETRY_WAITS: { readonly [Code in ErrorCode]?: Range } = {
  rate_limited: { leastMs: 1_000, mostMs: 5_000 },
  unavailable: { leastMs: 2_000, mostMs: 10_000 },
  node_channels_full: { leastMs: 5_000, mostMs: 20_000 },
};

/**
 * The wait that a client is told with a rejected channel, in ms; undefined for a code that another attempt does not change.
 * All channels of one client get the same wait, so that the client can ask for them together.
 *
 * @param phase 0 ≤ phase < 1, spread evenly over the clients, so that clients that were rejected together do not ask together.
 */
export function retryWaitMs(code: ErrorCode, phase: number): number | undefined {
  const range = RETRY_WAITS[code];
  return range && Math.round(range.leastMs + phase * (range.mostMs - range.leastMs));
}

/**
 * The reply to one `subscribe` request, in one or several frames. Each channel is confirmed in the step in which the client joins
 * it, because its publications follow at once. The last frame says `done`.
 */
export class SubscribeReply {
  readonly connection: Connection;
  readonly #id: RequestId | undefined;
  #pending: number;
  #subscribed: SubscribedChannel[] = [];
  #rejected: RejectedChannel[];

  constructor(connection: Connection, request: SubscribeRequest) {
    this.connection = connection;
    this.#id = request.id;
    this.#pending = request.channels.length;
    this.#rejected = [...request.rejected];
  }

  /** Adds a channel that the client holds now. */
  addSubscribed(channel: SubscribedChannel): void {
    this.#pending -= 1;
    this.#subscribed.push(channel);
  }

  /**
   * Adds a channel that the client does not get.
   *
   * @param retryAfterMs the wait until the client may ask again, in ms; by default the code decides ({@link retryWaitMs}).
   */
  addRejected(
    channel: string,
    code: ErrorCode,
    retryAfterMs = retryWaitMs(code, this.connection.session.phase),
  ): this {
    this.#pending -= 1;
    this.#rejected.push(
      retryAfterMs === undefined ? { channel, code } : { channel, code, retryAfterMs },
    );
    return this;
  }

  /** Sends what was added since the last call, if anything was. */
  send(): void {
    const done = this.#pending === 0;
    if (this.#subscribed.length === 0 && this.#rejected.length === 0) return;
    this.connection.send({
      type: 'subscribed',
      id: this.#id,
      channels: this.#subscribed,
      ...(this.#rejected.length > 0 ? { rejected: this.#rejected } : {}),
      done,
    });
    this.#subscribed = [];
    this.#rejected = [];
  }
}
