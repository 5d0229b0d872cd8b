/** A request of a client. */
export interface SentMessage {
  readonly type: string;
  readonly id?: unknown;
  readonly channels?: readonly (string | { readonly channel: string })[];
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
 * answer about. A request that is sent again with its id, because nobody answered, is no breach. A change of `latest` is one.
 */
export class SubscribeRule {
  readonly breaches: string[] = [];
  /** Channels that are held or asked for. */
  readonly #taken = new Set<string>();
  readonly #requests = new Map<unknown, readonly string[]>();

  sent({ type, id, channels = [] }: SentMessage): void {
    if (type !== 'subscribe' || this.#requests.has(id)) return;
    const names = channels.map((each) => (typeof each === 'string' ? each : each.channel));
    this.#requests.set(id, names);
    for (const name of names) {
      if (this.#taken.has(name)) this.breaches.push(`${name} was asked for again by ${id}`);
      this.#taken.add(name);
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
