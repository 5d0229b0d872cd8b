import type { Position } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { ChannelSequence } from './channel-sequence.ts';
import type { HistoryEntry } from './message.ts';
import type { SequenceAction } from './sequence-action.ts';

const NOW = 1_795_416_898_000;

/** The entry of Redis' history under an offset. */
function entry(offset: number, text = String(offset)): HistoryEntry {
  return { offset, publishedAt: NOW + offset, payload: Buffer.from(text) };
}

function entries(from: number, to: number): HistoryEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
}

/** A sequence whose owner is the test, and what it tells, one line each. */
class Sequenced {
  readonly told: string[] = [];
  readonly sequence: ChannelSequence;
  /** What the last call returned. */
  action: SequenceAction = { kind: 'read-position', isStale: false };

  constructor({ page = 100, messages = 1_000 } = {}) {
    this.sequence = new ChannelSequence(
      { waiting: { messages, bytes: 1_000_000 }, page },
      {
        onReady: () => this.told.push('ready'),
        onPublication: ({ epoch, offset, payload }) =>
          this.told.push(offset === 0 ? `${payload}` : `${epoch}:${offset}=${payload}`),
        onGap: (from, to, reason) => this.told.push(`gap ${from}-${to} ${reason}`),
        onPlainLost: (count) => this.told.push(`lost ${count ?? '?'}`),
        onResync: ({ epoch, offset }) => this.told.push(`resync ${epoch}:${offset}`),
        onHeaderRejected: (fault) => this.told.push(fault),
        onRepaired: (count) => this.told.push(`repaired ${count}`),
      },
    );
  }

  /** A sequence at this position, which has told nothing since. */
  static at(offset: number, settings = {}): Sequenced {
    const begun = new Sequenced(settings);
    begun.position('E', offset);
    begun.told.length = 0;
    return begun;
  }

  /** What the owner must do next. */
  get next(): string {
    return this.action.kind;
  }

  relink(sameServer: boolean): void {
    this.sequence.unlink();
    this.action = this.sequence.relink(sameServer);
  }

  /** Takes `E:5`, with another payload than the usual one if it is given, or a plain text. */
  arrive(...messages: (string | readonly [string, string])[]): void {
    for (const message of messages) {
      const [header, text] = typeof message === 'string' ? [message, undefined] : message;
      const [, epoch, offset] = /^(\w+):(\d+)$/.exec(header) ?? [];
      if (epoch === undefined) {
        const plain = { epoch: '', offset: 0, publishedAt: NOW, payload: Buffer.from(header) };
        this.action = this.sequence.deliverOrHold(plain);
      } else {
        this.action = this.sequence.deliverOrHold({
          ...entry(Number(offset), text ?? offset),
          epoch,
        });
      }
    }
  }

  /** Asks for the position, and answers at once. */
  position(epoch: string, offset: number): void {
    expect(this.sequence.beginPositionRead(NOW)).toBe(true);
    this.action = this.sequence.applyPosition(epoch === '' ? undefined : { epoch, offset });
  }

  /** Brings a page of these publications, from the offset on that was asked for. */
  history(position: Position, publications: readonly HistoryEntry[] = []): void {
    const { action } = this;
    if (action.kind !== 'read-history') throw new Error(`${action.kind} is needed`);
    const page = publications.filter(({ offset }) => offset >= action.from);
    this.action = this.sequence.applyHistory({ position, publications: page });
  }

  /** What was told since the last call. */
  news(): string[] {
    return this.told.splice(0);
  }
}

describe('ChannelSequence: a publication that follows', () => {
  it('is delivered in the call that brings it, and nothing has to be read', () => {
    const channel = Sequenced.at(4);
    for (const message of ['E:5', 'plain', 'E:6']) {
      channel.arrive(message);
      expect(channel.next).toBe('nothing');
    }
    expect(channel.news()).toEqual(['E:5=5', 'plain', 'E:6=6']);
  });

  it('is delivered while the position is read for another reason', () => {
    const channel = Sequenced.at(4);
    channel.action = channel.sequence.check();
    channel.sequence.beginPositionRead(NOW);
    channel.arrive('E:5');
    expect(channel.news()).toEqual(['E:5=5']);
    channel.action = channel.sequence.applyPosition({ epoch: 'E', offset: 5 });
    expect(channel.next).toBe('nothing');
  });

  it('waits behind one that does not, so that the order holds', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:500', 'E:5', 'plain');
    expect(channel.news()).toEqual([]);
    channel.position('E', 5);
    expect(channel.next).toBe('nothing');
    expect(channel.news()).toEqual(['unconfirmed', 'E:5=5', 'plain']);
  });
});

describe('ChannelSequence: headers that do not follow', () => {
  it('do not make a channel wait, although two of them claim the same offset beyond its end', () => {
    const channel = Sequenced.at(10);
    channel.arrive(['E:500', 'x'], ['E:500', 'y'], 'plain');
    channel.position('E', 10);
    expect(channel.news()).toEqual(['unconfirmed', 'unconfirmed', 'plain']);
    expect(channel.next).toBe('nothing');
  });

  it('move nothing where history holds another publication under their offset', () => {
    const channel = Sequenced.at(4);
    channel.arrive(['E:6', 'forged'], 'plain', 'E:5', 'E:6');
    channel.position('E', 6);
    channel.history({ epoch: 'E', offset: 6 }, entries(1, 6));
    expect(channel.news()).toEqual(['unconfirmed', 'plain', 'E:5=5', 'E:6=6']);
  });

  it('are looked up once, however many come meanwhile', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:500');
    channel.sequence.beginPositionRead(NOW);
    channel.arrive('F:1', 'E:600');
    channel.action = channel.sequence.applyPosition({ epoch: 'E', offset: 4 });
    expect(channel.news(), 'the answer does not speak of what came after the request').toEqual([
      'unconfirmed',
    ]);
    channel.position('E', 4);
    expect(channel.news()).toEqual(['foreign_epoch', 'unconfirmed']);
    expect(channel.next).toBe('nothing');
  });

  it('cost one look at history, and not before it is asked for, however many seem to be handed out again', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:5');
    for (let i = 0; i < 5; i += 1) {
      const forged = { ...entry(3, 'forged'), publishedAt: NOW + 1_000 + i, epoch: 'E' };
      channel.action = channel.sequence.deliverOrHold(forged);
    }
    expect(channel.next).toBe('compare-soon');
    channel.arrive('plain');
    expect(channel.news().at(-1), 'nothing is held up').toBe('plain');
    channel.action = channel.sequence.compare();
    channel.position('E', 5);
    channel.history({ epoch: 'E', offset: 5 }, entries(1, 5));
    expect(channel.next, 'the suspicion is settled').toBe('nothing');
    channel.action = channel.sequence.compare();
    expect(channel.next).toBe('nothing');
    expect(channel.news()).toEqual([]);
  });
});

describe('ChannelSequence: offsets that are handed out twice', () => {
  it('are found although others have gone past ours meanwhile', () => {
    const channel = Sequenced.at(3);
    channel.arrive('E:4', 'E:5');
    // The link stays, but its server has become a replica of one that lost 4 and 5.
    const again = [entry(4, 'again'), entry(5, 'again'), entry(6)].map((one) => ({
      ...one,
      publishedAt: one.publishedAt + 5_000,
    }));
    for (const one of again) channel.sequence.deliverOrHold({ ...one, epoch: 'E' });
    expect(channel.news()).toEqual(['E:4=4', 'E:5=5', 'old', 'old', 'E:6=6']);
    channel.action = channel.sequence.compare();
    channel.position('E', 6);
    channel.history({ epoch: 'E', offset: 6 }, [...entries(1, 3), ...again]);
    expect(channel.next).toBe('start-epoch');
    channel.action = channel.sequence.locateNewEpoch();
    channel.position('F', 6);
    channel.history({ epoch: 'F', offset: 6 }, [...entries(1, 3), ...again]);
    expect(channel.news()).toEqual(['resync F:3', 'F:4=again', 'F:5=again', 'F:6=6', 'repaired 3']);
  });

  it('are looked for until history was read, however often the link is lost before', () => {
    const channel = Sequenced.at(3);
    channel.arrive('E:4', 'E:5');
    channel.news();
    channel.relink(false);
    channel.position('E', 6);
    expect(channel.next).toBe('read-history');
    channel.relink(true);
    channel.position('E', 6);
    const again = [...entries(1, 3), entry(4, 'again'), entry(5, 'again'), entry(6)];
    channel.history({ epoch: 'E', offset: 6 }, again);
    expect(channel.action).toEqual({ kind: 'start-epoch', replaces: 'E' });
  });

  it('are not looked for where none was delivered', () => {
    const channel = Sequenced.at(0);
    channel.relink(false);
    channel.position('E', 0);
    expect(channel.next).toBe('nothing');
    channel.arrive('E:1');
    expect(channel.news()).toEqual(['E:1=1']);
    expect(channel.next).toBe('nothing');
  });

  it('are given out under a new epoch where history cannot show that they were not', () => {
    const channel = Sequenced.at(3, { page: 0 });
    channel.relink(false);
    channel.position('E', 7);
    expect(channel.next).toBe('start-epoch');
  });

  it('are given out under a new epoch when Redis comes back to one that was left', () => {
    const channel = Sequenced.at(3);
    channel.action = channel.sequence.check();
    channel.position('F', 5);
    channel.history({ epoch: 'F', offset: 5 }, entries(1, 5));
    expect(channel.sequence.epoch).toBe('F');
    channel.relink(false);
    channel.position('E', 6);
    expect(channel.action).toEqual({ kind: 'start-epoch', replaces: 'E' });
  });
});

describe('ChannelSequence: the first publications of an epoch', () => {
  it.each([0, 100])('are delivered from offset 1 where there was no history (page %i)', (page) => {
    const channel = new Sequenced({ page });
    channel.position('', 0);
    channel.arrive('E:1', 'E:2');
    channel.position('E', 2);
    expect(channel.news()).toEqual(['ready', 'resync E:0', 'E:1=1', 'E:2=2']);
  });

  it('are told as lost where they were lost', () => {
    const channel = new Sequenced();
    channel.position('', 0);
    channel.arrive('E:3');
    channel.position('E', 3);
    channel.history({ epoch: 'E', offset: 3 }, [entry(2)]);
    expect(channel.news()).toEqual([
      ...['ready', 'resync E:0', 'gap 1-1 trimmed', 'E:2=2', 'E:3=3', 'repaired 1'],
    ]);
  });

  it.each([
    ['history keeps none', [], { page: 100 }],
    ['history keeps one', [entry(3)], { page: 100 }],
    ['history is not read', [], { page: 0 }],
  ])('are those that wait, when the epoch takes over from another: %s', (_, held, settings) => {
    const channel = Sequenced.at(50, settings);
    channel.relink(false);
    channel.arrive('F:1', 'F:2', 'F:3');
    channel.position('F', 3);
    if (channel.next === 'read-history') channel.history({ epoch: 'F', offset: 3 }, held);
    expect(channel.news()).toEqual(['resync F:0', 'F:1=1', 'F:2=2', 'F:3=3']);
    expect(channel.next).toBe('nothing');
  });

  it('are not messages that were forged far before them', () => {
    const channel = Sequenced.at(50, { page: 2 });
    channel.arrive(['F:7', 'forged'], 'F:900');
    channel.position('F', 900);
    channel.history({ epoch: 'F', offset: 900 }, [entry(899), entry(900)]);
    expect(channel.news()).toEqual([
      ...['resync F:898', 'old', 'F:899=899', 'F:900=900', 'repaired 1'],
    ]);
  });

  it('include those that were published under the epoch that was replaced', () => {
    const channel = Sequenced.at(5);
    channel.relink(false);
    channel.arrive('E:4', 'plain', 'E:5');
    channel.position('E', 5);
    channel.history({ epoch: 'E', offset: 5 });
    channel.action = channel.sequence.locateNewEpoch();
    channel.position('F', 5);
    channel.history({ epoch: 'F', offset: 5 });
    expect(channel.news()).toEqual(['resync F:3', 'F:4=4', 'plain', 'F:5=5']);
  });
});

describe('ChannelSequence: answers that come late', () => {
  it('do not begin an epoch where more has come since the request', () => {
    const channel = Sequenced.at(4);
    channel.action = channel.sequence.check();
    channel.sequence.beginPositionRead(NOW);
    channel.arrive('E:5', 'E:6');
    channel.action = channel.sequence.applyPosition({ epoch: 'E', offset: 4 });
    expect(channel.next).toBe('nothing');
    expect(channel.news()).toEqual(['E:5=5', 'E:6=6']);
  });

  it('count for nothing when something else has become necessary since the request', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:6');
    channel.position('E', 6);
    expect(channel.sequence.beginPositionRead(NOW), 'history is needed').toBe(false);
    channel.history({ epoch: 'E', offset: 6 }, entries(5, 6));
    channel.arrive(['X:1', 'forged']);
    expect(channel.next).toBe('read-position');
    channel.action = channel.sequence.applyPosition({ epoch: 'E', offset: 4 });
    expect(channel.next).toBe('read-position');
    channel.position('E', 6);
    expect(channel.news()).toEqual(['E:5=5', 'E:6=6', 'repaired 1', 'foreign_epoch']);
    expect(channel.next).toBe('nothing');
  });

  it('of history are not used where they show less than the position did', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:6');
    channel.position('E', 6);
    channel.history({ epoch: 'E', offset: 5 }, [entry(5)]);
    expect(channel.action).toEqual({ kind: 'read-position', isStale: true });
    channel.position('E', 6);
    channel.history({ epoch: 'F', offset: 9 }, entries(5, 9));
    expect(channel.action).toEqual({ kind: 'read-position', isStale: true });
    channel.position('E', 6);
    channel.history({ epoch: 'E', offset: 7 }, entries(5, 7));
    expect(channel.next).toBe('nothing');
    expect(channel.news()).toEqual(['E:5=5', 'E:6=6', 'repaired 1']);
  });
});

describe('ChannelSequence: a hole', () => {
  it.each([
    ['history is not read', { page: 0 }, undefined, 'gap 5-5 link'],
    ['history is empty', { page: 100 }, [], 'gap 5-5 trimmed'],
    ['history has it', { page: 100 }, entries(5, 8), 'E:5=5'],
    ['history has it alone', { page: 1 }, [entry(5)], 'E:5=5'],
  ])(
    'is filled before the messages that wait, and those keep their order: %s',
    (_, settings, held, first) => {
      const channel = Sequenced.at(4, settings);
      channel.arrive('E:6', 'plain 6', 'E:7', 'plain 7', 'E:8');
      channel.position('E', 8);
      if (held !== undefined) channel.history({ epoch: 'E', offset: 8 }, held);
      expect(channel.news().filter((line) => !line.startsWith('repaired'))).toEqual([
        ...[first, 'E:6=6', 'plain 6', 'E:7=7', 'plain 7', 'E:8=8'],
      ]);
      expect(channel.next).toBe('nothing');
    },
  );

  it('at the end is filled before messages that came after it was found', () => {
    const channel = Sequenced.at(4);
    channel.action = channel.sequence.check();
    channel.position('E', 6);
    channel.arrive('plain', 'E:7');
    channel.history({ epoch: 'E', offset: 7 }, entries(5, 7));
    expect(channel.news()).toEqual(['E:5=5', 'E:6=6', 'plain', 'E:7=7', 'repaired 2']);
  });

  it('is looked for when waiting messages were dropped, without a further call', () => {
    const channel = new Sequenced({ messages: 2 });
    channel.sequence.beginPositionRead(NOW);
    channel.arrive('E:1', 'E:2', 'E:3', 'plain');
    channel.arrive('plain');
    channel.action = channel.sequence.applyPosition({ epoch: 'E', offset: 2 });
    expect(channel.next).toBe('read-position');
    channel.position('E', 3);
    expect(channel.next).toBe('read-history');
  });

  it('is told once for each page that does not hold it', () => {
    const channel = Sequenced.at(0, { page: 2 });
    channel.action = channel.sequence.check();
    channel.position('E', 6);
    channel.history({ epoch: 'E', offset: 6 }, [entry(2), entry(3)]);
    expect(channel.action).toEqual({ kind: 'read-history', from: 4 });
    channel.history({ epoch: 'E', offset: 6 }, [entry(5)]);
    expect(channel.news()).toEqual([
      ...['gap 1-1 trimmed', 'E:2=2', 'E:3=3', 'repaired 2'],
      ...['gap 4-4 trimmed', 'E:5=5', 'gap 6-6 trimmed', 'repaired 1'],
    ]);
  });
});

describe('ChannelSequence: without the right to know the position', () => {
  it('delivers everything as it comes, without offsets', () => {
    const channel = new Sequenced();
    channel.arrive('E:5');
    channel.sequence.beginPositionRead(NOW);
    expect(channel.sequence.abandonPosition()).toEqual({ kind: 'nothing' });
    channel.arrive('plain', 'E:7');
    expect(channel.news()).toEqual(['ready', '5', 'plain', '7']);
    expect(channel.next).toBe('nothing');
    channel.relink(true);
    expect(channel.news()).toEqual(['lost ?']);
  });

  it('continues with offsets once it may read them', () => {
    const channel = new Sequenced();
    channel.sequence.beginPositionRead(NOW);
    channel.sequence.abandonPosition();
    channel.arrive('E:5');
    channel.action = channel.sequence.check();
    channel.position('E', 5);
    channel.arrive('E:6');
    expect(channel.news()).toEqual(['ready', '5', 'resync E:5', 'E:6=6']);
  });

  it('cannot continue where it has told offsets', () => {
    const channel = Sequenced.at(4);
    channel.action = channel.sequence.check();
    channel.sequence.beginPositionRead(NOW);
    expect(channel.sequence.abandonPosition()).toEqual({ kind: 'give-up' });
  });
});

describe('ChannelSequence: an epoch that may not be replaced', () => {
  it('continues at Redis’ position, and a loss is told', () => {
    const channel = Sequenced.at(4);
    channel.arrive('E:5', 'E:6');
    channel.news();
    channel.relink(false);
    channel.position('E', 5);
    channel.action = channel.sequence.abandonNewEpoch();
    channel.position('E', 5);
    channel.history({ epoch: 'E', offset: 5 }, entries(1, 5));
    channel.arrive('E:6');
    expect(channel.news()).toEqual(['lost ?', 'resync E:5', 'E:6=6']);
    expect(channel.next).toBe('nothing');
  });
});
