import type { Identity } from '../../auth/token-verifier.ts';
import type { Session } from '../session/session.ts';
import { inTurns } from '../time/turn-budget.ts';
import type { Connection } from './connection.ts';

/** Ends the sessions of a worker whose tokens were revoked. */
export class RevokedSessions {
  readonly #connections: Iterable<Connection>;
  readonly #onRevoked: (session: Session) => void;
  /** Whether connections are looked through, and whether that must be done once more. */
  #looking: 'no' | 'yes' | 'again' = 'no';

  /**
   * @param connections the worker's, which their owner keeps up to date.
   * @param onRevoked hears of each session before its connection is closed.
   */
  constructor(connections: Iterable<Connection>, onRevoked: (session: Session) => void) {
    this.#connections = connections;
    this.#onRevoked = onRevoked;
  }

  /**
   * Closes the connections whose tokens are revoked, and drops what waits for them. Some are looked at in a turn; a call that
   * comes meanwhile makes it look at all of them again.
   */
  async end(isRevoked: (identity: Identity) => boolean): Promise<void> {
    if (this.#looking !== 'no') {
      this.#looking = 'again';
      return;
    }
    do {
      this.#looking = 'yes';
      await inTurns(this.#connections, (connection) => {
        const current = connection.session.identity?.current;
        // Someone who is sent away while the node drains still gets what waits, for as long as the drain takes.
        if (current === undefined || connection.isClosing || !isRevoked(current)) return;
        this.#onRevoked(connection.session);
        connection.close('unauthorized');
      });
    } while (this.#mustLookAgain);
    this.#looking = 'no';
  }

  get #mustLookAgain(): boolean {
    return this.#looking === 'again';
  }
}
