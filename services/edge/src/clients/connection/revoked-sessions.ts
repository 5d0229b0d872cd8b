import type { Identity } from '../../auth/token-verifier.ts';
import type { Session } from '../session/session.ts';
import { inTurns } from '../time/turn-budget.ts';
import type { Connection } from './connection.ts';

/** Ends the sessions of a worker whose tokens were revoked. */
export class RevokedSessions {
  readonly #connections: Iterable<Connection>;
  readonly #onRevoked: (session: Session) => void;
  /** Whether a pass over the connections is under way, and whether another one must follow. */
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
   * Closes the connections whose tokens are revoked, and drops their waiting publications. A pass takes several turns of the event loop.
   * A call during a pass makes another pass follow.
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
        // A client that is sent away by a drain (`finishing`) is still sent what waits, so it must be closed too.
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
