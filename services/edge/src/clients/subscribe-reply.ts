import type {
  ErrorCode,
  RejectedChannel,
  RequestId,
  SubscribedChannel,
  SubscribeRequest,
} from '@tradewind/protocol';
import type { Connection } from './connection.ts';

/**
 * The answer to one `subscribe` request, sent in as many frames as it takes: what is settled is
 * told at once, because a channel's publications follow right behind; the last frame says `done`.
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

  /** @param retryAfterMs when it may be asked for again, if that is known. */
  addRejected(channel: string, code: ErrorCode, retryAfterMs?: number): this {
    this.#pending -= 1;
    this.#rejected.push(
      retryAfterMs === undefined ? { channel, code } : { channel, code, retryAfterMs },
    );
    return this;
  }

  /** Sends what was settled since the last call, if anything was. */
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
