import type {
  ErrorCode,
  RejectedChannel,
  RequestId,
  SubscribedChannel,
  SubscribeRequest,
} from '@tradewind/protocol';
import type { Connection } from '../connection/connection.ts';
import { retryWaitMs } from './retry-waits.ts';

/**
 * The reply to one `subscribe` request, in one or several frames. Each channel is confirmed as soon as its client joined,
 * because the channel's publications follow at once. The last frame says `done`.
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

  addSubscribed(channel: SubscribedChannel): void {
    this.#pending -= 1;
    this.#subscribed.push(channel);
  }

  /** @param retryAfterMs after which the client may ask again; without it the code decides ({@link retryWaitMs}). */
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
