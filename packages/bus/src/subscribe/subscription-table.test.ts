import { describe, expect, it } from 'vitest';
import { type SubscriptionCommand, SubscriptionTable } from './subscription-table.ts';

function tableOf(batchChannels = 512, commandsInFlight = 8): SubscriptionTable {
  return new SubscriptionTable({
    batchChannels,
    commandsInFlight,
    refusedRetryMinMs: 1_000,
    refusedRetryMaxMs: 30_000,
    random: () => 1,
  });
}

function next(table: SubscriptionTable): SubscriptionCommand {
  const command = table.nextCommand();
  if (command === undefined) throw new Error('the table has nothing to send');
  return command;
}

/** A table with these channels subscribed and told. */
function subscribedTo(...channels: string[]): SubscriptionTable {
  const table = tableOf();
  table.linkUp();
  for (const channel of channels) table.want(channel);
  table.accepted(next(table));
  table.takeConfirmed();
  return table;
}

describe('SubscriptionTable', () => {
  it('sends nothing before the link is up, then all that is wanted in batches', () => {
    const table = tableOf(2, 8);
    for (const channel of ['a', 'b', 'c']) table.want(channel);
    expect(table.nextCommand()).toBeUndefined();
    table.linkUp();
    expect(next(table)).toEqual({ kind: 'subscribe', channels: ['a', 'b'] });
    expect(next(table)).toEqual({ kind: 'subscribe', channels: ['c'] });
    expect(table.nextCommand()).toBeUndefined();
  });

  it('holds back commands beyond the number that may be in flight', () => {
    const table = tableOf(1, 2);
    for (const channel of ['a', 'b', 'c']) table.want(channel);
    table.linkUp();
    const first = next(table);
    next(table);
    expect(table.nextCommand()).toBeUndefined();
    table.accepted(first);
    expect(next(table).channels).toEqual(['c']);
  });

  it('sends nothing for a channel that is wanted and dropped within one turn', () => {
    const table = tableOf();
    table.linkUp();
    table.want('a');
    table.unwant('a');
    expect(table.nextCommand()).toBeUndefined();
    expect(table.size).toBe(0);
  });

  it('waits for the answer before it takes a channel back', () => {
    const table = tableOf();
    table.linkUp();
    table.want('a');
    const subscribe = next(table);
    table.unwant('a');
    expect(table.nextCommand()).toBeUndefined();
    table.accepted(subscribe);
    expect(table.takeConfirmed()).toEqual([]);
    const unsubscribe = next(table);
    expect(unsubscribe).toEqual({ kind: 'unsubscribe', channels: ['a'] });
    table.accepted(unsubscribe);
    expect(table.size).toBe(0);
  });

  it('subscribes again when a channel is wanted while it is being left', () => {
    const table = subscribedTo('a');
    table.unwant('a');
    const unsubscribe = next(table);
    table.want('a');
    expect(table.receive('a')).toBe('drop');
    table.accepted(unsubscribe);
    table.accepted(next(table));
    expect(table.takeConfirmed()).toEqual(['a']);
  });

  it('confirms a want again when the channel was never left', () => {
    const table = subscribedTo('a');
    table.unwant('a');
    table.want('a');
    expect(table.nextCommand()).toBeUndefined();
    expect(table.takeConfirmed()).toEqual(['a']);
  });

  it('takes a message as proof of a subscription whose ack is still on its way', () => {
    const table = tableOf();
    table.linkUp();
    table.want('a');
    expect(table.receive('a')).toBe('drop');
    const subscribe = next(table);
    expect(table.receive('a')).toBe('confirm');
    expect(table.receive('a')).toBe('deliver');
    table.accepted(subscribe);
    expect(table.takeConfirmed()).toEqual([]);
  });

  it('drops messages of channels that nobody wants', () => {
    const table = subscribedTo('a');
    table.unwant('a');
    expect(table.receive('a')).toBe('drop');
    expect(table.receive('b')).toBe('drop');
  });

  it('ignores answers of an earlier link', () => {
    const table = tableOf();
    table.linkUp();
    table.want('a');
    const old = next(table);
    table.linkDown();
    table.linkUp();
    const present = next(table);
    expect(table.awaits(old)).toBe(false);
    table.accepted(old);
    expect(table.refused(old, 0)).toBeUndefined();
    expect(table.takeConfirmed()).toEqual([]);
    table.accepted(present);
    expect(table.takeConfirmed()).toEqual(['a']);
  });

  it('halves a refused batch until the channel at fault stands alone', () => {
    const table = tableOf();
    const channels = Array.from({ length: 512 }, (_, index) => `c${index}`);
    for (const channel of channels) table.want(channel);
    table.linkUp();
    const confirmed: string[] = [];
    const refused: string[] = [];
    let commands = 0;
    for (let command = table.nextCommand(); command; command = table.nextCommand()) {
      commands += 1;
      if (command.channels.includes('c77')) {
        const channel = table.refused(command, 0);
        if (channel !== undefined) refused.push(channel);
      } else {
        table.accepted(command);
      }
      confirmed.push(...table.takeConfirmed());
    }
    expect(refused).toEqual(['c77']);
    expect(new Set(confirmed)).toEqual(new Set(channels.filter((channel) => channel !== 'c77')));
    expect(commands).toBe(1 + 2 * 9);
    expect(table.takeRestored()).toBe(true);
  });

  it('asks for a refused channel again, alone, after waits that double up to the limit', () => {
    const table = tableOf();
    table.linkUp();
    table.want('bad');
    expect(table.refused(next(table), 0)).toBe('bad');
    let now = 0;
    for (const wait of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      table.retryDue(now + wait - 1);
      expect(table.nextCommand()).toBeUndefined();
      now += wait;
      table.retryDue(now);
      table.want(`good-${now}`);
      table.accepted(next(table));
      expect(table.refused(next(table), now)).toBe('bad');
    }
    table.retryDue(now + 30_000);
    table.accepted(next(table));
    expect(table.takeConfirmed()).toContain('bad');
  });

  it('asks for a refused channel at once on a new link, without keeping the others waiting', () => {
    const table = tableOf();
    table.linkUp();
    table.want('bad');
    table.refused(next(table), 0);
    table.want('good');
    table.linkDown();
    table.linkUp();
    const good = next(table);
    expect(good.channels).toEqual(['good']);
    expect(next(table).channels).toEqual(['bad']);
    table.accepted(good);
    table.takeConfirmed();
    expect(table.takeRestored()).toBe(true);
  });

  it('forgets a refused channel that is no longer wanted', () => {
    const table = tableOf();
    table.linkUp();
    table.want('bad');
    table.refused(next(table), 0);
    table.unwant('bad');
    table.retryDue(60_000);
    expect(table.nextCommand()).toBeUndefined();
    expect(table.size).toBe(0);
  });

  it('tries a refused UNSUBSCRIBE again later', () => {
    const table = subscribedTo('a');
    table.unwant('a');
    expect(table.refused(next(table), 0)).toBeUndefined();
    expect(table.nextCommand()).toBeUndefined();
    table.retryDue(30_000);
    table.accepted(next(table));
    expect(table.size).toBe(0);
  });

  it('is restored once per link, when all that was wanted at its start is decided', () => {
    const table = tableOf();
    expect(table.takeRestored()).toBe(false);
    table.linkUp();
    expect(table.takeRestored()).toBe(true);
    expect(table.takeRestored()).toBe(false);

    for (const channel of ['a', 'b']) table.want(channel);
    table.linkDown();
    expect(table.takeRestored()).toBe(false);
    table.linkUp();
    table.want('later');
    const command = next(table);
    table.unwant('b');
    expect(table.takeRestored()).toBe(false);
    table.accepted(command);
    table.takeConfirmed();
    expect(table.takeRestored()).toBe(true);
  });
});
