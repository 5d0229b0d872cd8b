import { describe, expect, it } from 'vitest';
import { QueueOutcomes } from './queue-outcomes.ts';
import { CONTROL, SendQueues } from './send-queues.ts';

const LIMITS = {
  slots: 512,
  bytes: 1_000_000,
  publicationBytes: 100,
  controls: 8,
  controlBytes: 100,
};

function drain(queues: SendQueues, queueId: number): number[] {
  const sequences: number[] = [];
  queues.drainInto(queueId, {
    take(_, sequence) {
      sequences.push(sequence);
      return true;
    },
  });
  return sequences;
}

describe('SendQueues', () => {
  it('keeps many queues apart, each with its own numbers', () => {
    const queues = new SendQueues(LIMITS);
    const queueIds = Array.from({ length: 1_000 }, () => queues.addQueue());
    expect(new Set(queueIds).size).toBe(1_000);
    const body = new Uint8Array(10);
    for (const [i, queueId] of queueIds.entries())
      for (let n = 0; n <= i % 20; n += 1) queues.offer([queueId], body, 0, new QueueOutcomes());
    expect(queues.frames).toBe(1);
    for (const [i, queueId] of queueIds.entries()) {
      const numbers = Array.from({ length: (i % 20) + 1 }, (_, n) => n + 1);
      expect(drain(queues, queueId)).toEqual(numbers);
    }
    expect(queues.frames).toBe(0);
  });

  it('trims each queue once, however many parts that is divided into', () => {
    for (const parts of [1, 2, 7, 20]) {
      const queues = new SendQueues(LIMITS);
      const queueIds = Array.from({ length: 50 }, () => queues.addQueue());
      queues.offer(queueIds, new Uint8Array(10), 0, new QueueOutcomes());
      for (const queueId of queueIds) drain(queues, queueId);
      const trimAll = () => {
        for (let part = 0; part < parts; part += 1) queues.trim(part, parts);
        return queueIds.filter((queueId) => queues.capacity(queueId) > 0).length;
      };
      expect([trimAll(), trimAll()], `${parts} parts`).toEqual([50, 0]);
    }
  });

  it('tells how much waits in the fullest queue, by number and by bytes', () => {
    const queues = new SendQueues(LIMITS);
    const [many, large] = [queues.addQueue(), queues.addQueue()];
    queues.addQueue();
    for (let n = 0; n < 3; n += 1) queues.offer([many], new Uint8Array(1), 0, new QueueOutcomes());
    queues.offer([large], new Uint8Array(50), 0, new QueueOutcomes());
    expect(queues.fullest()).toEqual({ publications: 3, bytes: 50 });
  });

  it('holds nothing of what everyone refuses, or nobody is there for', () => {
    const queues = new SendQueues(LIMITS);
    const queueId = queues.addQueue();
    queues.setBehind(queueId, true);
    const outcomes = new QueueOutcomes();
    queues.offer([queueId], new Uint8Array(10), 0, outcomes);
    expect([outcomes.count, outcomes.positions[0], outcomes.verdicts[0]]).toEqual([
      1,
      0,
      'refused',
    ]);
    outcomes.clear();
    queues.offer([], new Uint8Array(10), 0, outcomes);
    expect([outcomes.count, queues.frames, queues.lastSequence(queueId)]).toEqual([0, 0, 1]);
  });

  it('offers to more queues than are read ahead at once', () => {
    const queues = new SendQueues(LIMITS);
    const queueIds = Array.from({ length: 1_000 }, () => queues.addQueue());
    const outcomes = new QueueOutcomes();
    queues.offer(queueIds, new Uint8Array(10), 7, outcomes);
    expect(outcomes.positions.slice(0, outcomes.count)).toEqual([...queueIds.keys()]);
    expect(queueIds.map((queueId) => queues.behindSince(queueId))).toEqual(queueIds.map(() => 7));
    expect(queueIds.map((queueId) => drain(queues, queueId))).toEqual(queueIds.map(() => [1]));
  });

  it('numbers on past 32 bits, also what waits across that', () => {
    const queues = new SendQueues(LIMITS);
    const queueId = queues.addQueue();
    const before = 2 ** 32 - 3;
    queues.reserveSequences(queueId, before);
    for (let i = 0; i < 6; i += 1)
      queues.offer([queueId], new Uint8Array(1), 0, new QueueOutcomes());
    expect(queues.lastSequence(queueId)).toBe(before + 6);
    expect(drain(queues, queueId)).toEqual([1, 2, 3, 4, 5, 6].map((n) => before + n));
  });

  it('tells control frames from publications, in their order', () => {
    const queues = new SendQueues(LIMITS);
    const queueId = queues.addQueue();
    queues.offer([queueId], new Uint8Array(1), 0, new QueueOutcomes());
    queues.pushControl(queueId, new Uint8Array(2));
    queues.offer([queueId], new Uint8Array(3), 0, new QueueOutcomes());
    expect([
      queues.size(queueId),
      queues.publications(queueId),
      queues.controlBytes(queueId),
    ]).toEqual([3, 2, 2]);
    expect(drain(queues, queueId)).toEqual([1, CONTROL, 2]);
    expect(queues.controlBytes(queueId)).toBe(0);
  });

  it('gives an ended queue’s id to another, which begins empty', () => {
    const queues = new SendQueues(LIMITS);
    const queueId = queues.addQueue();
    queues.setBlocked(queueId, true);
    for (let i = 0; i < 100; i += 1)
      queues.offer([queueId], new Uint8Array(1), 0, new QueueOutcomes());
    const nowhere = queues.removeQueue(queueId);
    expect(queues.frames).toBe(0);
    const next = queues.addQueue();
    expect(next).toBe(queueId);
    expect([queues.size(next), queues.lastSequence(next), queues.capacity(next)]).toEqual([
      0, 0, 0,
    ]);
    expect(queues.isBlocked(next)).toBe(false);
    // The id that `removeQueue` returned is that of no queue.
    queues.setBlocked(nowhere, true);
    expect(queues.removeQueue(nowhere)).toBe(nowhere);
    expect(queues.isBlocked(next)).toBe(false);
  });
});
