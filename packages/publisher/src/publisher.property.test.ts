import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { createPublisher } from './publisher.ts';
import type { RedisArgument, SendCommand } from './redis-connection.ts';

/** What happens to one command. After a loss, what was sent behind it over the same connection is lost as well. */
const FATES = ['lost-before', 'lost-after', 'flushed', 'loaded-by-others', 'loading'] as const;
type Fate = 'served' | (typeof FATES)[number];

/** What stands in a Redis that does what the publish script does, and to which the given fates happen. */
class FakeRedis {
  readonly logs = new Map<string, string[]>();
  readonly #once = new Map<string, number>();
  readonly #fates: Fate[];
  #isLoaded = false;
  #connection = { isLost: false };

  constructor(fates: readonly Fate[]) {
    this.#fates = [...fates];
  }

  readonly send: SendCommand = async (words) => {
    if (words[0] === 'time') return ['1800000000', '0'];
    const connection = this.#connection;
    // Commands that are sent in one turn are on their way before the first is answered.
    await null;
    if (connection.isLost) throw new Error('Socket closed unexpectedly');
    const fate = this.#fates.shift() ?? 'served';
    if (fate === 'flushed') this.#isLoaded = false;
    if (fate === 'loaded-by-others') this.#isLoaded = true;
    if (fate === 'loading') throw new Error('LOADING Redis is loading the dataset in memory');
    const answer = fate === 'lost-before' ? undefined : this.#execute(words.map(String));
    if (fate !== 'lost-before' && fate !== 'lost-after') return answer;
    connection.isLost = true;
    this.#connection = { isLost: false };
    throw new Error('Socket closed unexpectedly');
  };

  #execute(words: readonly string[]): readonly RedisArgument[] | readonly unknown[] {
    const [command, , , , , channel = '', payload = '', , , key = '', , notAfterMs] = words;
    if (command === 'eval') this.#isLoaded = true;
    if (!this.#isLoaded) throw new Error('NOSCRIPT No matching script. Please use EVAL.');
    const known = this.#once.get(`${channel} ${key}`);
    if (known !== undefined) return ['k', known, 1];
    if (Number(notAfterMs) < 1_800_000_000_000) throw new Error('TWLATE it is later than allowed');
    const log = this.logs.get(channel) ?? [];
    log.push(payload);
    this.logs.set(channel, log);
    this.#once.set(`${channel} ${key}`, log.length);
    return ['k', log.length, 0];
  }
}

afterEach(() => vi.restoreAllMocks());

it('publishes each at most once, in order, and says what became of it, whatever happens on the way', async () => {
  // No waiting between tries: order and outcome do not depend on it.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  const fate = fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fate>('served') },
    { weight: 4, arbitrary: fc.constantFrom<Fate>(...FATES) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 60 }),
      fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 20 }),
      async (fates, channels) => {
        const redis = new FakeRedis(fates);
        const publications = channels.map((channel, i) => ({ channel, data: `${i}` }));
        const results = await createPublisher(redis.send).publishMany(publications);

        for (const [i, { channel, data }] of publications.entries()) {
          const result = results[i]!;
          const log = redis.logs.get(channel) ?? [];
          if (result.ok) expect(log[result.offset - 1]).toBe(data);
          else {
            expect(result.error).toMatchObject({ code: 'OVERTAKEN', published: 'no' });
            expect(log).not.toContain(data);
          }
        }
        for (const log of redis.logs.values()) {
          const numbers = log.map(Number);
          expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
        }
      },
    ),
    cases(300),
  );
});
