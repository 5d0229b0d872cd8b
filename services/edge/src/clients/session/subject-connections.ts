import type { LimitGuard } from '../../limits.ts';
import type { OwnerLimits } from '../../owners/owner.ts';
import { OwnerTable } from '../../owners/owner-table.ts';
import type { Session } from './session.ts';

/** The clients of each subject on one worker. A subject may have only so many, and they share its budgets. */
export class SubjectConnections {
  readonly #owners: OwnerTable;
  readonly #guard: LimitGuard;

  constructor(limits: OwnerLimits, guard: LimitGuard) {
    this.#owners = new OwnerTable(limits);
    this.#guard = guard;
  }

  /** Gives the subject to a session that has none. Returns false, and gives nothing, if the subject has as many as it may. */
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

  /** The connection of a session has ended. */
  leave({ subjectOwner }: Session): void {
    if (subjectOwner !== undefined) this.#owners.removeConnection(subjectOwner, 'connections');
  }
}
