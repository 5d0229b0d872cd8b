import type { CloseReason, ErrorCode } from '@tradewind/protocol';
import { createSecurityLog, type Logger, type LogLimiter } from '@tradewind/runtime';
import type { AuthenticationFault } from '../clients/authentication.ts';
import type { Session } from '../clients/session/session.ts';

/** Logs which clients came, left or were refused, with their addresses and origins; see `createSecurityLog`. Each reason of a refusal is an event. */
export class SecurityLog {
  readonly #lines: LogLimiter;

  /** @param now returns ms that never go back. */
  constructor(logger: Logger, now?: () => number) {
    this.#lines = createSecurityLog(logger, now);
  }

  /** A client has connected. */
  connected({ id, address, origin }: Session): void {
    this.#lines.info('client_connected', { session: id, address, origin });
  }

  /** A token was accepted. `isFirst` says whether it is the client's first one. */
  identified(session: Session, isFirst: boolean): void {
    this.#lines.info(isFirst ? 'client_identified' : 'client_refreshed', fieldsOf(session));
  }

  /** A connection has ended. */
  closed(session: Session, reason: CloseReason): void {
    this.#lines.info('client_closed', { ...fieldsOf(session), reason });
  }

  /** The connection is closed because its token was revoked. */
  revoked(session: Session): void {
    this.#lines.info('session_revoked', fieldsOf(session));
  }

  /** A token was refused. The client may have an identity from another one: that is the `subject`. */
  tokenRefused({ code, cause }: AuthenticationFault, session: Session): void {
    this.#lines.info(`token_refused_${cause}`, { ...fieldsOf(session), code, cause });
  }

  /** A handshake was refused. */
  handshakeRejected(code: ErrorCode, from: Pick<Session, 'address' | 'origin'>): void {
    this.#lines.info(`handshake_rejected_${code}`, { ...from, code });
  }
}

function fieldsOf({ id, identity, address, origin }: Session) {
  return { session: id, subject: identity?.current?.subject, address, origin };
}
