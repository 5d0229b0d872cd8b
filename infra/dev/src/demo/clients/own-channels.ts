import { type Client, connect } from '@tradewind/client';
import { Redis } from 'ioredis';

/** Channels of the user that are shown: the first ones. */
const MAX_CHANNELS = 5;

/** Characters of a publication that are kept. */
const MAX_TEXT = 200;

/** Names that the tier uses itself. */
const RESERVED = 'tw:';

/** A channel that somebody else publishes to, and what came last, as text. */
export interface OwnChannel {
  readonly name: string;
  readonly text: string | undefined;
}

/** Notices channels that the user publishes to, and follows them. Only for a Redis that is the demo's own: it hears everything. */
export class OwnChannels {
  readonly #redis: Redis;
  readonly #client: Client;
  readonly #texts = new Map<string, string | undefined>();

  /**
   * @param known the channels of the demo.
   * @param nextUrl the address of the edge to try, for each attempt.
   */
  constructor(redisUrl: string, known: readonly string[], nextUrl: () => string) {
    this.#client = connect(nextUrl);
    this.#redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
    this.#redis.on('error', () => {});
    this.#redis.on('pmessage', (_pattern: string, name: string) => {
      if (!known.includes(name) && !name.startsWith(RESERVED)) this.#follow(name);
    });
    this.#redis.psubscribe('*').catch(() => {});
  }

  get channels(): readonly OwnChannel[] {
    return Array.from(this.#texts, ([name, text]) => ({ name, text }));
  }

  async stop(): Promise<void> {
    this.#redis.disconnect();
    await this.#client.close();
  }

  #follow(name: string): void {
    if (this.#texts.has(name) || this.#texts.size >= MAX_CHANNELS) return;
    try {
      // What was published before anybody followed it comes from history, if it has one.
      this.#client.channel(name, { history: 1 }).subscribe(({ data }) => {
        this.#texts.set(name, (JSON.stringify(data) ?? '').slice(0, MAX_TEXT));
      });
      this.#texts.set(name, undefined);
    } catch {
      // No name for a channel: something else uses this Redis.
    }
  }
}
