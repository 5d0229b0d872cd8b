import type { LimitGuard } from '../../limits.ts';
import type { OwnerLimits } from '../../owners/owner.ts';
import { OwnerTable } from '../../owners/owner-table.ts';
import type { Session } from './session.ts';

/** The connections of each subject on one worker: their number is limited, and they share the subject's budgets. */
export class SubjectConnections {
  readonly #owners: OwnerTable;
  readonly #guard: LimitGuard;

  constructor(limits: OwnerLimits, guard: LimitGuard) {
    this.#owners = new OwnerTable(limits);
    this.#guard = guard;
  }

  /** Makes the subject the owner of a session that has none. Returns false, and changes nothing, if the subject has the most connections that it may have. */
  admit(session: Session, subject: string): boolean {
    const owner = this.#owners.find(subject);
    if (owner.isFull) {
      this.#guard.isFull('subject_connections');
      return false;
    }
    this.#owners.addConnection(owner, 'connections');
    session.subjectOwner = owner;
    return true;
  }

  /** Removes a session whose connection has ended. */
  leave({ subjectOwner }: Session): void {
    if (subjectOwner !== undefined) this.#owners.removeConnection(subjectOwner, 'connections');
  }
}
