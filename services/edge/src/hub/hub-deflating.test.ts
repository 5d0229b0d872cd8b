import { describe, expect, it } from 'vitest';
import { answers, createHub } from './testing/hub-under-test.ts';

function trade(n: number): Buffer {
  return Buffer.from(`"trade ${n} of ETH at 1666.8 for 26.062, bought"`);
}

/** A hub with two workers that have the channel `a`. */
async function start() {
  const { hub, worker } = createHub();
  const workers = [await worker(), await worker()] as const;
  for (const { feed } of workers) feed.declare('a');
  hub.subscribed(['a']);
  await answers();
  for (const { worker: told } of workers) told.news();
  return { hub, one: workers[0], two: workers[1] };
}

describe('Hub: deflating', () => {
  it('does nothing while no worker wants it', async () => {
    const { hub } = await start();
    for (let n = 0; n < 10; n += 1) hub.message('a', trade(n));
    expect(hub.deflating).toEqual({
      ...{ deflated: 0, references: 0, ms: 0 },
      raw: { first: 0, unshrinkable: 0, budget: 0 },
    });
  });

  it('deflates once for all workers that want it, and gives the others what they had', async () => {
    const { hub, one, two } = await start();
    one.feed.wantDeflated('a', true);
    for (let n = 0; n < 3; n += 1) hub.message('a', trade(n));
    expect(one.worker.inflated).toEqual([1, 2].map((n) => String(trade(n))));
    expect(one.worker.news()).toContain('reference 1 of a');
    expect(two.worker.inflated).toEqual([]);
    expect(two.worker.news().every((line) => line.startsWith('published'))).toBe(true);
    two.feed.wantDeflated('a', true);
    await answers();
    expect(two.worker.news(), 'the one that is live already').toEqual(['reference 1 of a']);
    hub.message('a', trade(3));
    expect([one.worker.inflated.length, two.worker.inflated.length]).toEqual([3, 1]);
    expect(hub.deflating).toMatchObject({ deflated: 3, references: 1 });
  });

  it('goes on for the others when a worker ends or drops the channel', async () => {
    const { hub, one, two } = await start();
    for (const { feed } of [one, two]) feed.wantDeflated('a', true);
    for (let n = 0; n < 3; n += 1) hub.message('a', trade(n));
    one.feed.close();
    hub.message('a', trade(3));
    expect([one.worker.inflated.length, two.worker.inflated.length]).toEqual([2, 3]);
    two.feed.drop('a');
    hub.message('a', trade(4));
    expect(hub.deflating.deflated).toBe(3);
  });
});
