import { describe, expect, it } from 'vitest';
import { countOf, type Loss } from './losses.ts';
import { Outbox } from './outbox.ts';
import type { Publication } from './publication.ts';
import { PublicationLog } from './publication-log.ts';
import { CONTROL, type OutboxLimits, SendQueues } from './send-queues.ts';
import { peekSequence, shift } from './testing/next-entry.ts';

const LIMITS: OutboxLimits = {
  slots: 4,
  bytes: 1_000,
  publicationBytes: 100,
  controls: 4,
  controlBytes: 100,
};
const POLICY = { graceMs: 2_000, maxLagMs: 30_000 };

function outboxWith(limits: Partial<OutboxLimits>, policy = POLICY): Outbox {
  return new Outbox(new SendQueues({ ...LIMITS, ...limits }), policy, new PublicationLog(0));
}

function blockedOutbox(limits: Partial<OutboxLimits> = {}, policy = POLICY): Outbox {
  const outbox = outboxWith(limits, policy);
  outbox.blocked = true;
  return outbox;
}

function publication(bytes = 1, channel = 'a'): Publication {
  return { channel, offset: 0, body: new Uint8Array(bytes), publishedAt: 0 };
}

/** Offers `count` publications and returns the verdicts. */
function offerMany(outbox: Outbox, count: number, now = 0, bytes = 1): string[] {
  return Array.from({ length: count }, () => outbox.offer(publication(bytes), now));
}

function shiftMany(outbox: Outbox, count: number): void {
  for (let i = 0; i < count; i += 1) shift(outbox);
}

function drain(outbox: Outbox): number[] {
  const sequences: number[] = [];
  while (outbox.size > 0) {
    sequences.push(peekSequence(outbox) as number);
    shift(outbox);
  }
  return sequences;
}

describe('the slots', () => {
  it.each([511, 512, 513])('hold 512 publications: %d are offered', (offered) => {
    const outbox = blockedOutbox({ slots: 512 });
    const verdicts = offerMany(outbox, offered);
    expect(outbox.depth).toBe(Math.min(offered, 512));
    expect(verdicts.filter((verdict) => verdict === 'refused')).toHaveLength(offered > 512 ? 1 : 0);
    expect(outbox.lastSequence).toBe(offered);
    expect(drain(outbox)).toEqual(Array.from({ length: Math.min(offered, 512) }, (_, i) => i + 1));
  });

  it('are not taken by control frames, however many wait', () => {
    const outbox = blockedOutbox();
    for (let i = 0; i < LIMITS.controls; i += 1) outbox.offerControl(new Uint8Array(1));
    expect(outbox.depth).toBe(0);
    expect(offerMany(outbox, 4)).toEqual(['queued', 'queued', 'queued', 'queued']);
    expect([outbox.depth, outbox.size]).toEqual([4, 8]);
  });
});

describe('the bytes', () => {
  it.each([
    [511, 'queued'],
    [512, 'queued'],
    [513, 'refused'],
  ])('are exact: a total of %d of 512 is %s', (total, verdict) => {
    const outbox = blockedOutbox({ bytes: 512 });
    outbox.offer(publication(256), 0);
    expect(outbox.offer(publication(total - 256), 0)).toBe(verdict);
    expect(outbox.bytes).toBe(verdict === 'refused' ? 256 : total);
  });

  it('of control frames are counted apart', () => {
    const outbox = blockedOutbox({ bytes: 200 });
    outbox.offerControl(new Uint8Array(100));
    expect(outbox.bytes).toBe(0);
    expect(outbox.offer(publication(100), 0)).toBe('queued');
    expect(outbox.offer(publication(100), 0)).toBe('queued');
  });
});

describe('a loss', () => {
  it('is counted exactly for each channel, and its numbers are missing from seq', () => {
    const outbox = blockedOutbox();
    offerMany(outbox, 4);
    outbox.offer(publication(1, 'b'), 0);
    outbox.offer(publication(1, 'c'), 0);
    outbox.offer(publication(1, 'b'), 0);
    expect(drain(outbox)).toEqual([1, 2, 3, 4]);
    expect(countsOf(outbox.takeLosses())).toEqual(
      new Map([
        ['b', 2],
        ['c', 1],
      ]),
    );
    outbox.offer(publication(), 0);
    expect(peekSequence(outbox)).toBe(8);
    expect(countsOf(outbox.takeLosses())).toBeUndefined();
  });

  it('bars the way for all publications until it is taken, but not for control frames', () => {
    const outbox = blockedOutbox();
    offerMany(outbox, 5);
    outbox.blocked = false;
    shiftMany(outbox, 4);
    expect(outbox.offer(publication(1, 'z'), 0)).toBe('refused');
    expect(outbox.offerControl(new Uint8Array(1))).toBe('wasIdle');
    expect(countsOf(outbox.takeLosses())).toEqual(
      new Map([
        ['a', 1],
        ['z', 1],
      ]),
    );
    expect(outbox.offer(publication(1, 'z'), 0)).toBe('queued');
  });

  it('is told once half of the slots are free', () => {
    const outbox = blockedOutbox();
    offerMany(outbox, 5);
    shift(outbox);
    expect(countsOf(outbox.takeLosses())).toBeUndefined();
    shift(outbox);
    expect(countsOf(outbox.takeLosses())).toEqual(new Map([['a', 1]]));
  });

  it('is told once half of the bytes are free', () => {
    const outbox = blockedOutbox({ bytes: 201 });
    offerMany(outbox, 2, 0, 50);
    offerMany(outbox, 2, 0, 51);
    shiftMany(outbox, 1);
    expect([outbox.bytes, countsOf(outbox.takeLosses())]).toEqual([101, undefined]);
    shiftMany(outbox, 1);
    expect([outbox.bytes, countsOf(outbox.takeLosses())]).toEqual([51, new Map([['a', 1]])]);
  });
});

describe('a verdict', () => {
  it('is wasIdle when nothing waited before, and queued behind others', () => {
    const outbox = outboxWith({});
    expect(offerMany(outbox, 2)).toEqual(['wasIdle', 'queued']);
    shiftMany(outbox, 2);
    expect(outbox.offerControl(new Uint8Array(1))).toBe('wasIdle');
    expect(outbox.offer(publication(), 0)).toBe('queued');
  });

  it('is nearlyFull when the slots are full and the socket takes bytes', () => {
    expect(offerMany(outboxWith({}), 4)).toEqual(['wasIdle', 'queued', 'queued', 'nearlyFull']);
    expect(offerMany(blockedOutbox(), 4)).toEqual(['wasIdle', 'queued', 'queued', 'queued']);
  });

  it('is nearlyFull when another of the largest publications would find no room', () => {
    const limits = { bytes: 250, publicationBytes: 100 };
    expect(outboxWith(limits).offer(publication(150), 0)).toBe('wasIdle');
    expect(outboxWith(limits).offer(publication(151), 0)).toBe('nearlyFull');
    expect(blockedOutbox(limits).offer(publication(151), 0)).toBe('wasIdle');
  });

  it('is nearlyFull when half of the control slots or bytes are taken and the socket takes bytes', () => {
    const outbox = outboxWith({});
    expect(outbox.offerControl(new Uint8Array(1))).toBe('wasIdle');
    expect(outbox.offerControl(new Uint8Array(1))).toBe('nearlyFull');
    expect(outboxWith({}).offerControl(new Uint8Array(49))).toBe('wasIdle');
    expect(outboxWith({}).offerControl(new Uint8Array(50))).toBe('nearlyFull');
    expect(blockedOutbox().offerControl(new Uint8Array(100))).toBe('wasIdle');
  });

  it('on a control frame is slow when there is no room for it, and it is not queued', () => {
    const slots = blockedOutbox();
    for (let i = 0; i < 4; i += 1) expect(slots.offerControl(new Uint8Array(1))).not.toBe('slow');
    expect(slots.offerControl(new Uint8Array(1))).toBe('slow');
    expect(slots.size).toBe(4);
    const bytes = blockedOutbox();
    expect(bytes.offerControl(new Uint8Array(101))).toBe('slow');
    expect(bytes.size).toBe(0);
  });
});

describe('the slow policy', () => {
  it('takes three refusals in one burst for no more, and disconnects when they fill the grace', () => {
    const burst = blockedOutbox();
    offerMany(burst, 4);
    expect(offerMany(burst, 3, 1_999)).toEqual(['refused', 'refused', 'refused']);
    const spread = blockedOutbox();
    offerMany(spread, 4);
    expect(offerMany(spread, 1, 100)).toEqual(['refused']);
    expect(offerMany(spread, 1, 2_100)).toEqual(['refused']);
    expect(offerMany(spread, 1, 2_100)).toEqual(['slow']);
  });

  it('starts to count again after a send that was accepted', () => {
    const outbox = blockedOutbox();
    offerMany(outbox, 4);
    offerMany(outbox, 2, 0);
    shiftMany(outbox, 2);
    outbox.takeLosses();
    expect(offerMany(outbox, 2, 5_000)).toEqual(['queued', 'queued']);
    expect(offerMany(outbox, 2, 5_000)).toEqual(['refused', 'refused']);
    expect(offerMany(outbox, 1, 6_999)).toEqual(['refused']);
    expect(offerMany(outbox, 1, 7_000)).toEqual(['slow']);
  });

  it('blames nobody for refusals while the socket takes bytes', () => {
    const outbox = outboxWith({});
    offerMany(outbox, 4);
    for (let now = 0; now < 60_000; now += 1_000) {
      expect(outbox.offer(publication(), now)).toBe('refused');
    }
  });

  it('counts from the first refusal after the socket was blocked', () => {
    const outbox = outboxWith({}, { graceMs: 2_000, maxLagMs: 1_000_000 });
    offerMany(outbox, 9);
    outbox.blocked = true;
    expect(offerMany(outbox, 2, 10_000)).toEqual(['refused', 'refused']);
    expect(offerMany(outbox, 1, 11_999)).toEqual(['refused']);
    expect(offerMany(outbox, 1, 12_000)).toEqual(['slow']);
  });

  it('disconnects a client at the first refusal once it was behind for the longest time allowed', () => {
    const outbox = blockedOutbox();
    offerMany(outbox, 4, 1_000);
    expect(outbox.isLate(30_999)).toBe(false);
    expect(outbox.offer(publication(), 30_999)).toBe('refused');
    expect(outbox.isLate(31_000)).toBe(true);
    expect(outbox.offer(publication(), 31_000)).toBe('slow');
  });

  it('spares a client once that is late and has lost nothing, until it keeps up', () => {
    const log = new PublicationLog(1_000_000);
    const outbox = new Outbox(
      new SendQueues(LIMITS),
      { graceMs: 1_000_000, maxLagMs: 30_000 },
      log,
    );
    outbox.blocked = true;
    const offer = (count: number, now: number): void => {
      for (let i = 0; i < count; i += 1) {
        const latest = publication();
        log.append(latest);
        outbox.offer(latest, now);
      }
    };
    const fallBehind = (now: number): void => {
      offer(LIMITS.slots - outbox.depth + 1, now);
      expect(outbox.isBehind).toBe(true);
    };
    fallBehind(0);
    expect(outbox.isLate(30_000)).toBe(false);
    shiftMany(outbox, 3);
    expect(countsOf(outbox.takeLosses())).toEqual(new Map([['a', 1]]));
    fallBehind(31_000);
    expect(outbox.isLate(59_999)).toBe(false);
    expect(outbox.isLate(60_000), 'nothing more is spared').toBe(true);
    shiftMany(outbox, outbox.size);
    expect(outbox.catchUp()).toBe(1);
    shiftMany(outbox, 1);
    fallBehind(100_000);
    expect(outbox.isLate(130_000), 'it kept up in between').toBe(false);
  });

  it('counts the lag from when the outbox was last empty of publications', () => {
    const outbox = blockedOutbox();
    outbox.offer(publication(), 0);
    outbox.offerControl(new Uint8Array(1));
    outbox.offer(publication(), 10_000);
    shift(outbox);
    expect(outbox.isLate(30_000)).toBe(true);
    shiftMany(outbox, 2);
    outbox.offerControl(new Uint8Array(1));
    expect(outbox.isLate(90_000)).toBe(false);
    outbox.offer(publication(), 90_000);
    expect(outbox.isLate(90_000)).toBe(false);
  });
});

describe('memory for what waits', () => {
  it('keeps the order when it grows with its head in the middle', () => {
    const outbox = blockedOutbox({ slots: 64 });
    offerMany(outbox, 8);
    shiftMany(outbox, 5);
    offerMany(outbox, 20);
    expect(drain(outbox)).toEqual(Array.from({ length: 23 }, (_, i) => i + 6));
  });

  it('is kept small, not given up, for who is offered something between two trims', () => {
    const queues = new SendQueues({ ...LIMITS, slots: 512 });
    const outbox = new Outbox(queues, POLICY, new PublicationLog(0));
    const kept: boolean[] = [];
    for (const offered of [20, 20, 0, 300, 300]) {
      offerMany(outbox, offered);
      shiftMany(outbox, offered);
      queues.trim();
      kept.push(outbox.capacity > 0);
    }
    expect(kept).toEqual([true, true, false, false, false]);
  });

  it('continues with the next seq after trim and clear', () => {
    const queues = new SendQueues(LIMITS);
    const outbox = new Outbox(queues, POLICY, new PublicationLog(0));
    offerMany(outbox, 4);
    outbox.blocked = true;
    offerMany(outbox, 1);
    outbox.offerControl(new Uint8Array(1));
    queues.trim();
    expect(outbox.size).toBe(5);
    outbox.clear();
    expect([outbox.size, outbox.depth, outbox.bytes, outbox.peek()]).toEqual([0, 0, 0, undefined]);
    expect([countsOf(outbox.takeLosses()), outbox.isLate(90_000)]).toEqual([undefined, false]);
    outbox.offerControl(new Uint8Array(100));
    outbox.offer(publication(), 0);
    expect(drain(outbox)).toEqual([CONTROL, 6]);
  });
});

describe('an outbox that is asked before it is offered something', () => {
  it('says whether a publication would be queued', () => {
    const outbox = outboxWith({ slots: 3, bytes: 100 });
    expect([outbox.hasRoomFor(100), outbox.hasRoomFor(101)]).toEqual([true, false]);
    offerMany(outbox, 1, 0, 60);
    expect([outbox.hasRoomFor(40), outbox.hasRoomFor(41)]).toEqual([true, false]);
    offerMany(outbox, 2);
    expect(outbox.hasRoomFor(1)).toBe(false);
    outbox.blocked = true;
    expect(offerMany(outbox, 1)).toEqual(['refused']);
    shiftMany(outbox, 3);
    expect(outbox.hasRoomFor(1), 'behind').toBe(false);
  });

  it('says whether a publication may still wait, by its seq', () => {
    const outbox = outboxWith({});
    expect(outbox.mayHold(0)).toBe(false);
    offerMany(outbox, 3);
    shift(outbox);
    expect([1, 2, 3].map((sequence) => outbox.mayHold(sequence))).toEqual([false, true, true]);
    expect(outbox.mayHold(0)).toBe(false);
    shiftMany(outbox, 2);
    expect(outbox.mayHold(3)).toBe(false);
  });
});

/** Channel → publications, of what was lost. */
function countsOf(
  losses: readonly Loss[] | undefined,
): Map<string, number | undefined> | undefined {
  return losses && new Map(losses.map(({ channel, missing }) => [channel, countOf(missing)]));
}
