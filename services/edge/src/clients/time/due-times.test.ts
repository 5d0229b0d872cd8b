import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DueTimes, type HasDueSlot } from './due-times.ts';

const AT_ONCE = Number.NEGATIVE_INFINITY;
const WITHOUT_LIMIT = Number.POSITIVE_INFINITY;

class Member implements HasDueSlot {
  dueSlot = 0;
  served = 0;
}

describe('DueTimes', () => {
  it('serves exactly the connections that are due, as a plain list would', () => {
    const steps = fc.array(
      fc.record({ what: fc.constantFrom('add', 'remove', 'hasten', 'serve'), n: fc.nat(99) }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const due = new DueTimes<Member>();
        const model = new Map<Member, number>();
        let beat = 0;
        for (const { what, n } of all) {
          const member = [...model.keys()][n % Math.max(1, model.size)];
          if (what === 'add') {
            const added = new Member();
            model.set(added, beat + n);
            due.add(added, beat + n);
          } else if (what === 'serve') {
            beat += n;
            const wanted = [...model].filter(([, at]) => at <= beat).map(([each]) => each);
            const served: Member[] = [];
            due.serveSome(beat, (each) => served.push(each) && beat + 7, WITHOUT_LIMIT);
            for (const each of served) model.set(each, beat + 7);
            expect(new Set(served)).toEqual(new Set(wanted));
            expect(served).toHaveLength(wanted.length);
          } else if (member !== undefined && what === 'remove') {
            due.remove(member);
            model.delete(member);
          } else if (member !== undefined) {
            model.set(member, Math.min(beat + n, model.get(member) as number));
            due.hasten(member, beat + n);
          }
        }
      }),
    );
  });

  it('serves some in each turn, continues where it stopped, and serves each once', () => {
    const due = new DueTimes<Member>();
    const members = addMany(due, 200);
    let turns = 1;
    while (due.serveSome(0, serveAndKeepDue, AT_ONCE)) turns += 1;
    expect(members.map(({ served }) => served)).toEqual(Array(200).fill(1));
    expect(turns).toBeGreaterThanOrEqual(200);
  });

  it('allows a connection that is served to remove itself and others', () => {
    const due = new DueTimes<Member>();
    const members = addMany(due, 3);
    const [first, second, third] = members as [Member, Member, Member];
    due.serveSome(
      0,
      (member) => {
        member.served += 1;
        for (const each of [first, second]) due.remove(each);
        due.remove(first);
        return 0;
      },
      WITHOUT_LIMIT,
    );
    expect([first.served, second.served, third.served]).toEqual([1, 0, 1]);
    const added = addMany(due, 2);
    expect(new Set(added.map(({ dueSlot }) => dueSlot))).toEqual(new Set([0, 1]));
  });

  it('forgets connections that were removed', () => {
    const due = new DueTimes<Member>();
    const [member] = addMany(due, 1) as [Member];
    due.remove(member);
    due.hasten(member, 0);
    due.serveSome(Number.MAX_SAFE_INTEGER, serveAndKeepDue, WITHOUT_LIMIT);
    expect(member.served).toBe(0);
  });
});

function addMany(due: DueTimes<Member>, count: number): Member[] {
  return Array.from({ length: count }, () => {
    const member = new Member();
    due.add(member, 0);
    return member;
  });
}

function serveAndKeepDue(member: Member): number {
  member.served += 1;
  return 0;
}
