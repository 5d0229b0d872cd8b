import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LedgerEntry, TradeLedger } from '../trades/trade-ledger.ts';
import { DeliveryCheck } from './delivery-check.ts';

const CHANNEL = 'BTC.trade';

function offer(ledger: TradeLedger, count: number): LedgerEntry[] {
  return Array.from({ length: count }, () => {
    const entry = ledger.offer(CHANNEL, String(ledger.latest(CHANNEL) + 1), 0);
    ledger.settle(CHANNEL, entry, true);
    return entry;
  });
}

describe('DeliveryCheck', () => {
  it('is content with every trade once and in order', () => {
    const ledger = new TradeLedger();
    const check = new DeliveryCheck(ledger, [CHANNEL]);
    for (const entry of offer(ledger, 5)) check.take(CHANNEL, entry);
    expect(check.counts()).toEqual({ delivered: 5, outOfOrder: 0, duplicates: 0, missing: 0 });
    expect(check.pending()).toBe(0);
  });

  it('expects only what is published after it began', () => {
    const ledger = new TradeLedger();
    offer(ledger, 3);
    const check = new DeliveryCheck(ledger, [CHANNEL]);
    for (const entry of offer(ledger, 2)) check.take(CHANNEL, entry);
    expect(check.counts()).toEqual({ delivered: 2, outOfOrder: 0, duplicates: 0, missing: 0 });
  });

  it('does not miss what ingest refused', () => {
    const ledger = new TradeLedger();
    const check = new DeliveryCheck(ledger, [CHANNEL]);
    const refused = ledger.offer(CHANNEL, 'refused', 0);
    ledger.settle(CHANNEL, refused, false);
    for (const entry of offer(ledger, 1)) check.take(CHANNEL, entry);
    ledger.settle(CHANNEL, ledger.offer(CHANNEL, 'refused too', 0), false);
    expect(check.counts().missing).toBe(0);
    expect(check.pending()).toBe(0);
    expect(ledger.accepted).toBe(1);
    expect(ledger.refused).toBe(2);
  });

  it('tells a gap from the end that has not come yet', () => {
    const ledger = new TradeLedger();
    const check = new DeliveryCheck(ledger, [CHANNEL]);
    const [first, , third] = offer(ledger, 5);
    check.take(CHANNEL, first!);
    check.take(CHANNEL, third!);
    expect(check.counts().missing).toBe(1);
    expect(check.pending()).toBe(2);
  });

  it('counts as a model does, whatever is lost, doubled or moved', () => {
    const deliveries = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 40 });
    fc.assert(
      fc.property(deliveries, (indexes) => {
        const ledger = new TradeLedger();
        const check = new DeliveryCheck(ledger, [CHANNEL]);
        const entries = offer(ledger, 12);
        for (const index of indexes) check.take(CHANNEL, entries[index - 1]!);

        const distinct = new Set(indexes);
        const highest = Math.max(0, ...indexes);
        const late = indexes.filter((index, at) => {
          const before = indexes.slice(0, at);
          return !before.includes(index) && before.some((earlier) => earlier > index);
        });
        expect(check.counts()).toEqual({
          delivered: distinct.size,
          outOfOrder: late.length,
          duplicates: indexes.length - distinct.size,
          missing: highest - distinct.size,
        });
        expect(check.pending()).toBe(12 - highest);
      }),
    );
  });
});
