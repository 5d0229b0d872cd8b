import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import { SENTINEL_ANSWER_MS } from '../redis-limits.ts';
import { sentinelSettings } from '../redis-settings.ts';
import { Sentinels } from './sentinels.ts';
import { type FakeSentinel, type FakeWord, startFakeSentinel } from './testing/fake-sentinel.ts';

const OLD: FakeWord = { host: '10.0.0.1', port: 6379, epoch: 3 };
const NEW: FakeWord = { host: '10.0.0.2', port: 6379, epoch: 4 };

async function fakes(...words: readonly (FakeWord | undefined)[]): Promise<FakeSentinel[]> {
  const started = await Promise.all(words.map((word) => startFakeSentinel(word)));
  for (const fake of started) onTestFinished(() => fake[Symbol.asyncDispose]());
  return started;
}

function sentinelsAt(...addresses: readonly string[]): Sentinels {
  const settings = sentinelSettings({
    mode: 'sentinel',
    url: `redis://${addresses.join()}/trades`,
    password: undefined,
    certificateAuthority: undefined,
    connectionName: 'test',
  });
  if (settings === undefined) throw new Error('no Sentinels');
  const sentinels = new Sentinels(settings);
  onTestFinished(() => sentinels.end());
  return sentinels;
}

/** Looks until each Sentinel was asked. */
async function findings(sentinels: Sentinels, looks: number): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = [];
  for (let look = 0; look < looks; look += 1) {
    const other = await sentinels.findOtherMaster();
    found.push(other === undefined ? undefined : Number(other.host.at(-1)));
  }
  return found;
}

describe('Sentinels', () => {
  it('choose the master of the latest failover, whoever answers first', async () => {
    const guards = await fakes(OLD, NEW);
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    expect(await sentinels.choose()).toMatchObject({ host: NEW.host, port: NEW.port });
  });

  it('do not wait for the minority', async () => {
    const guards = await fakes(OLD, { ...OLD, hangs: true }, OLD);
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    const askedAt = performance.now();
    expect(await sentinels.choose()).toMatchObject({ host: OLD.host });
    expect(performance.now() - askedAt).toBeLessThan(SENTINEL_ANSWER_MS);
  });

  it('believe a minority when no other Sentinel names a master', async () => {
    const [hanging, ignorant, known] = await fakes({ ...NEW, hangs: true }, undefined, OLD);
    const sentinels = sentinelsAt(hanging!.address, ignorant!.address, known!.address);
    expect(await sentinels.choose()).toMatchObject({ host: OLD.host });
  });

  it('say why nobody names a master', async () => {
    const [ignorant] = await fakes(undefined);
    await expect(sentinelsAt(ignorant!.address).choose()).rejects.toThrow(
      'no Sentinel names the master trades: ERR No such master with that name',
    );
    await expect(sentinelsAt('127.0.0.1:1').choose()).rejects.toThrow(/ECONNREFUSED/);
  });

  it('find a new master by the word of the first that has heard of it', async () => {
    const guards = await fakes(OLD, OLD, OLD);
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    await sentinels.choose();
    expect(await findings(sentinels, 3)).toEqual([undefined, undefined, undefined]);
    guards[1]!.word = NEW;
    expect(await findings(sentinels, 3)).toEqual([undefined, 2, undefined]);
  });

  it('believe none that was cut off before the last failover, also when it is alone', async () => {
    const guards = await fakes(NEW, NEW, NEW);
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    await sentinels.choose();
    guards[0]!.word = OLD;
    expect(await findings(sentinels, 3)).toEqual([undefined, undefined, undefined]);
    guards[1]!.word = undefined;
    guards[2]!.word = undefined;
    expect(await findings(sentinels, 3)).toEqual([undefined, undefined, undefined]);
  });

  it('believe a majority that was set up anew and counts from the beginning', async () => {
    const guards = await fakes(OLD, OLD, OLD);
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    await sentinels.choose();
    for (const guard of guards) guard.word = { ...NEW, epoch: 0 };
    expect(await findings(sentinels, 1)).toEqual([2]);
  });

  it('take two spellings of one address for the same master', async () => {
    const guards = await fakes(OLD, OLD, { ...OLD, host: 'redis-9' });
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    await sentinels.choose();
    guards[1]!.word = { ...OLD, host: 'redis-9' };
    expect(await findings(sentinels, 3)).not.toContain(1);
  });

  it('leave no connection behind, and none when ended', async () => {
    const guards = await fakes(OLD, { ...OLD, hangs: true });
    const sentinels = sentinelsAt(...guards.map(({ address }) => address));
    await sentinels.choose();
    const open = (): number => guards.reduce((sum, { server }) => sum + server.sockets.size, 0);
    await eventually(() => expect(open()).toBe(0));
    for (const guard of guards) guard.word = { ...OLD, hangs: true };
    const choice = expect(sentinels.choose()).rejects.toThrow(/no Sentinel/);
    await eventually(() => expect(open()).toBe(2));
    const endedAt = performance.now();
    sentinels.end();
    await choice;
    expect(performance.now() - endedAt).toBeLessThan(SENTINEL_ANSWER_MS / 2);
    await eventually(() => expect(open()).toBe(0));
  });
});
