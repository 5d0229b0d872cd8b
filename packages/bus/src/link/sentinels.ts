import { Redis } from 'ioredis';
import { describeError, isErrorReply } from '../redis-errors.ts';
import { DISCONNECT_TIMEOUT_MS, SENTINEL_ANSWER_MS } from '../redis-limits.ts';
import type { HostAndPort, SentinelSettings } from '../redis-settings.ts';
import { stateOfReply } from '../redis-states.ts';

/** What one Sentinel reports about the master. */
interface MasterReport extends HostAndPort {
  /** Grows with each failover. A Sentinel that is cut off from the others keeps an old one. */
  readonly epoch: number;
}

/**
 * The Sentinels of one master, for one link. Each question uses a connection of its own: a standing connection that
 * is silent could mean that the master did not change, or that the connection is dead.
 */
export class Sentinels {
  readonly #settings: SentinelSettings;
  readonly #majority: number;
  readonly #open = new Set<Redis>();
  #password: string | undefined;
  #chosen: MasterReport | undefined;
  #turn = 0;

  constructor(settings: SentinelSettings) {
    this.#settings = settings;
    this.#password = settings.password;
    this.#majority = Math.floor(settings.addresses.length / 2) + 1;
  }

  /**
   * Asks all Sentinels for the master, and returns the newest report once a majority has answered, or after 1 s the
   * newest of those that did. Rejects with an `Error` if none answers.
   */
  async choose(): Promise<HostAndPort> {
    const { reports, lastError } = await this.#askAll();
    const [newest] = newestOf(reports);
    if (newest === undefined) {
      const reason = lastError === undefined ? '' : `: ${lastError}`;
      throw new Error(`no Sentinel names the master ${this.#settings.master}${reason}`);
    }
    this.#chosen = newest;
    return newest;
  }

  /**
   * Asks the next Sentinel in turn, and returns the master if it is not the chosen one. Returns undefined if it is the
   * same, or if no Sentinel answers. Settles within 2 s, and never rejects.
   */
  async findOtherMaster(): Promise<HostAndPort | undefined> {
    const chosen = this.#chosen;
    const { addresses } = this.#settings;
    const address = addresses[this.#turn++ % addresses.length];
    if (chosen === undefined || address === undefined) return undefined;
    const report = await this.#ask(address).catch(() => undefined);
    if (report === undefined || isSame(report, chosen)) return undefined;
    if (report.epoch > chosen.epoch) return report;
    // This Sentinel may be cut off and not know of the last failover; or all were set up anew and count from 0
    // again. Only a majority can tell the two apart.
    const { reports } = await this.#askAll();
    if (reports.length < this.#majority) return undefined;
    const newest = newestOf(reports);
    return newest.some((one) => isSame(one, chosen)) ? undefined : newest[0];
  }

  /** Ends every question in flight; each settles as if its Sentinel had not answered. */
  end(): void {
    for (const sentinel of this.#open) sentinel.disconnect();
  }

  #askAll(): Promise<{
    readonly reports: readonly MasterReport[];
    readonly lastError: string | undefined;
  }> {
    const { addresses } = this.#settings;
    const reports: MasterReport[] = [];
    let lastError: string | undefined;
    let unsettled = addresses.length;
    return new Promise((resolve) => {
      const settle = (): void => {
        unsettled -= 1;
        if (reports.length >= this.#majority || unsettled === 0)
          resolve({ reports: [...reports], lastError });
      };
      for (const address of addresses) {
        this.#ask(address).then(
          (report) => {
            reports.push(report);
            settle();
          },
          (error: unknown) => {
            lastError = explainNoSentinel(describeError(error));
            settle();
          },
        );
      }
    });
  }

  async #ask({ host, port }: HostAndPort): Promise<MasterReport> {
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
        // During a failover this already names the new master; `SENTINEL MASTER` does not yet.
        sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master),
        sentinel.call('SENTINEL', 'MASTER', master),
      ]);
      return readReport(address, state);
    } catch (error) {
      // ioredis rejects the command only with "Connection is closed"; the cause came by the event before.
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

/** Redis itself does not know the command. */
function explainNoSentinel(cause: string): string {
  return /unknown command.*sentinel/i.test(cause)
    ? `it is no Sentinel: set REDIS_MODE=single, or name the Sentinels (${cause})`
    : cause;
}

/** @throws {Error} if the answer is not one of a Sentinel that knows this master. */
function readReport(address: unknown, state: unknown): MasterReport {
  if (!Array.isArray(address) || !Array.isArray(state)) throw new Error('it knows no such master');
  const [host, port] = address as readonly unknown[];
  const epoch = Number(state[state.indexOf('config-epoch') + 1]);
  return { host: String(host), port: Number(port), epoch: Number.isNaN(epoch) ? 0 : epoch };
}

/** The reports of the latest failover. Several may spell one address in different ways. */
function newestOf(reports: readonly MasterReport[]): readonly MasterReport[] {
  const latest = Math.max(...reports.map(({ epoch }) => epoch));
  return reports.filter(({ epoch }) => epoch === latest);
}

function isSame(one: HostAndPort, other: HostAndPort): boolean {
  return one.host === other.host && one.port === other.port;
}
