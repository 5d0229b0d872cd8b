import type { CloseReason, ErrorCode } from '@tradewind/protocol';
import { type Logger, LogLimiter, type Rate } from '@tradewind/runtime';
import type { AuthenticationFault } from '../clients/authentication.ts';
import type { Session } from '../clients/session.ts';

/**
 * Lines of each of these events that a worker writes. A line takes some µs and 300 bytes: 10,000 clients that come at once
 * cost 200 lines of `client_connected`, and the next one tells how many it stands for.
 */
export const SECURITY_LOG_RATE: Rate = { perSecond: 20, burst: 200 };

/**
 * Who came, who left and who was turned away. Every line has the field `"log":"security"`, and where the client comes from. None has a
 * token, or a part of a message. Each event, and each reason of a refusal, has a rate of its own: a flood of one hides no other.
 */
export class SecurityLog {
  readonly #lines: LogLimiter;

  /** @param now a clock in ms that never goes back. */
  constructor(logger: Logger, now?: () => number) {
    this.#lines = new LogLimiter(logger.child({ log: 'security' }), SECURITY_LOG_RATE, now);
  }

  connected({ id, address, origin }: Session): void {
    this.#lines.info('client_connected', { session: id, address, origin });
  }

  /** @param isFirst whether it is the first token of the client. */
  identified(session: Session, isFirst: boolean): void {
    this.#lines.info(isFirst ? 'client_identified' : 'client_refreshed', whoIs(session));
  }

  closed(session: Session, reason: CloseReason): void {
    this.#lines.info('client_closed', { ...whoIs(session), reason });
  }

  /** A token was refused. The client may have an identity from another one: that is the `subject`. */
  tokenRefused({ code, cause }: AuthenticationFault, session: Session): void {
    this.#lines.info(`token_refused_${cause}`, { ...whoIs(session), code, cause });
  }

  handshakeRejected(code: ErrorCode, from: Pick<Session, 'address' | 'origin'>): void {
    this.#lines.info(`handshake_rejected_${code}`, { ...from, code });
  }
}

function whoIs({ id, identity, address, origin }: Session) {
  return { session: id, subject: identity?.current?.subject, address, origin };
}
