/** A request of a client. */
export interface SentMessage {
  readonly type: string;
  readonly id?: unknown;
  readonly channels?: readonly (string | AskedChannel)[];
}

interface AskedChannel {
  readonly channel: string;
  readonly latest?: { readonly everyMs: number };
}

interface Answer {
  readonly type: string;
  readonly id?: unknown;
  readonly channels?: readonly string[];
  readonly rejected?: readonly { readonly channel: string }[];
}

const ANSWER = /^\{"type":"(?:subscribed|unsubscribed|error)"/;

/**
 * Holds one connection to rule 10 of docs/protocol.md: it asks for no channel that it holds, or that it has asked for and has no
 * answer about. A request that is sent again with its id, because nobody answered, is no breach, nor is a change of `latest`.
 */
export class SubscribeRule {
  readonly breaches: string[] = [];
  /** Channels that are held or asked for, and the interval that was asked for last: 0 for all. */
  readonly #taken = new Map<string, number>();
  readonly #requests = new Map<unknown, readonly string[]>();

  sent({ type, id, channels = [] }: SentMessage): void {
    if (type !== 'subscribe' || this.#requests.has(id)) return;
    const asked = channels.map((each) => (typeof each === 'string' ? { channel: each } : each));
    this.#requests.set(
      id,
      asked.map(({ channel }) => channel),
    );
    for (const { channel, latest } of asked) {
      const everyMs = latest?.everyMs ?? 0;
      if (this.#taken.get(channel) === everyMs) {
        this.breaches.push(`${channel} was asked for again by ${id}`);
      }
      this.#taken.set(channel, everyMs);
    }
  }

  /** @param text a frame of the node. It must be told before the client. */
  received(text: string): void {
    if (!ANSWER.test(text)) return;
    const { type, id, channels = [], rejected = [] } = JSON.parse(text) as Answer;
    for (const { channel } of rejected) this.#taken.delete(channel);
    const ended = { unsubscribed: channels, error: this.#requests.get(id) ?? [] }[type] ?? [];
    for (const name of ended) this.#taken.delete(name);
  }
}
