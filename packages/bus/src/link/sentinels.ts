import { Redis } from 'ioredis';
import { describeError, isErrorReply } from '../redis-errors.ts';
import { DISCONNECT_TIMEOUT_MS, SENTINEL_ANSWER_MS } from '../redis-limits.ts';
import type { HostAndPort, SentinelSettings } from '../redis-settings.ts';
import { stateOfReply } from '../redis-states.ts';

/** What one Sentinel says of the master. */
interface Word extends HostAndPort {
  /** Grows with each failover. A Sentinel that is cut off from the others stays behind. */
  readonly epoch: number;
}

/**
 * The Sentinels of one master, as one link knows them. Each question is a connection of its own, so
 * that there is none whose silence would have to be told from a master that stays.
 */
export class Sentinels {
  readonly #settings: SentinelSettings;
  readonly #majority: number;
  readonly #open = new Set<Redis>();
  #password: string | undefined;
  #chosen: Word | undefined;
  #turn = 0;

  constructor(settings: SentinelSettings) {
    this.#settings = settings;
    this.#password = settings.password;
    this.#majority = Math.floor(settings.addresses.length / 2) + 1;
  }

  /**
   * Asks all of them where the master is, and takes the newest word once a majority has spoken, or
   * after 1 s that of those that have. Rejects with an `Error` when none does.
   */
  async choose(): Promise<HostAndPort> {
    const { words, lastError } = await this.#askAll();
    const [newest] = newestOf(words);
    if (newest === undefined) {
      const reason = lastError === undefined ? '' : `: ${lastError}`;
      throw new Error(`no Sentinel names the master ${this.#settings.master}${reason}`);
    }
    this.#chosen = newest;
    return newest;
  }

  /**
   * Asks the next one in turn, and returns the master when it is another than the chosen one.
   * Undefined when it is the same, or nobody answers. Settles within 2 s, and never rejects.
   */
  async findOtherMaster(): Promise<HostAndPort | undefined> {
    const chosen = this.#chosen;
    const { addresses } = this.#settings;
    const address = addresses[this.#turn++ % addresses.length];
    if (chosen === undefined || address === undefined) return undefined;
    const word = await this.#ask(address).catch(() => undefined);
    if (word === undefined || isSame(word, chosen)) return undefined;
    if (word.epoch > chosen.epoch) return word;
    // It may be cut off and know nothing of the last failover; or all were set up anew, and count
    // from the beginning. Only a majority tells.
    const { words } = await this.#askAll();
    if (words.length < this.#majority) return undefined;
    const newest = newestOf(words);
    return newest.some((one) => isSame(one, chosen)) ? undefined : newest[0];
  }

  /** Ends the questions under way; they are answered as if nobody had been there. */
  end(): void {
    for (const sentinel of this.#open) sentinel.disconnect();
  }

  #askAll(): Promise<{ readonly words: readonly Word[]; readonly lastError: string | undefined }> {
    const { addresses } = this.#settings;
    const words: Word[] = [];
    let lastError: string | undefined;
    let unsettled = addresses.length;
    return new Promise((resolve) => {
      const settle = (): void => {
        unsettled -= 1;
        if (words.length >= this.#majority || unsettled === 0)
          resolve({ words: [...words], lastError });
      };
      for (const address of addresses) {
        this.#ask(address).then(
          (word) => {
            words.push(word);
            settle();
          },
          (error: unknown) => {
            lastError = describeError(error);
            settle();
          },
        );
      }
    });
  }

  async #ask({ host, port }: HostAndPort): Promise<Word> {
    const { master, tls } = this.#settings;
    const password = this.#password;
    const sentinel = new Redis({
      host,
      port,
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
      replyMapping: 'legacy',
      disableClientInfo: true,
      enableReadyCheck: false,
      retryStrategy: null,
      connectTimeout: SENTINEL_ANSWER_MS,
      commandTimeout: SENTINEL_ANSWER_MS,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    });
    let cause: unknown;
    sentinel.on('error', (error) => {
      cause ??= error;
    });
    this.#open.add(sentinel);
    try {
      const [address, state] = await Promise.all([
        // While a failover is under way this is the new master already, which the state is not.
        sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master),
        sentinel.call('SENTINEL', 'MASTER', master),
      ]);
      return readWord(address, state);
    } catch (error) {
      // ioredis tells the command only that the connection is closed.
      const reason = cause ?? error;
      if (isErrorReply(reason) && stateOfReply(reason.message).link === 'authenticate')
        this.#password = this.#settings.rereadPassword?.() ?? this.#password;
      throw reason;
    } finally {
      this.#open.delete(sentinel);
      sentinel.disconnect();
    }
  }
}

/** @throws {Error} when a Sentinel answers otherwise than Sentinels do. */
function readWord(address: unknown, state: unknown): Word {
  if (!Array.isArray(address) || !Array.isArray(state)) throw new Error('it knows no such master');
  const [host, port] = address as readonly unknown[];
  const epoch = Number(state[state.indexOf('config-epoch') + 1]);
  return { host: String(host), port: Number(port), epoch: Number.isNaN(epoch) ? 0 : epoch };
}

/** Those of the latest failover. They can differ in how they spell the same address. */
function newestOf(words: readonly Word[]): readonly Word[] {
  const latest = Math.max(...words.map(({ epoch }) => epoch));
  return words.filter(({ epoch }) => epoch === latest);
}

function isSame(one: HostAndPort, other: HostAndPort): boolean {
  return one.host === other.host && one.port === other.port;
}
