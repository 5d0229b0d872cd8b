import { describe, expect, it } from 'vitest';
import { RedisRefusedError, RedisUnavailableError } from '../redis-errors.ts';
import { MAX_REDIRECTS } from '../redis-limits.ts';
import { OrderedCalls, type Target } from './ordered-calls.ts';

/** Two nodes of which one owns everything. Each call is answered by the test, as `node name` or `node? name` after ASKING. */
function calls() {
  const sent: string[] = [];
  const answers: PromiseWithResolvers<string>[] = [];
  let owner = 'a';
  const ordered = new OrderedCalls<string>({
    ownerOf() {
      if (owner === '') throw new RedisUnavailableError('not-sent', 'no owner');
      return owner;
    },
    follow(redirect) {
      const node = redirect.to.host;
      if (redirect.kind === 'moved') owner = node;
      return { node, isAsking: redirect.kind === 'ask' };
    },
  });
  const outcomes: string[] = [];
  return {
    ...{ sent, outcomes },
    own(node: string) {
      owner = node;
    },
    call(name: string, key = 'k') {
      ordered
        .call(key, ({ node, isAsking }: Target<string>) => {
          sent.push(`${node}${isAsking ? '?' : ''} ${name}`);
          const answer = Promise.withResolvers<string>();
          answers.push(answer);
          return answer.promise;
        })
        .then(
          () => outcomes.push(name),
          (error: Error) => outcomes.push(`${name}: ${error.message}`),
        );
    },
    /** Answers the oldest calls: undefined: executed; otherwise the reply of an error. */
    async answer(...replies: readonly (string | undefined)[]) {
      for (const reply of replies) {
        const next = answers.shift()!;
        if (reply === undefined) next.resolve('done');
        else next.reject(new RedisRefusedError(reply));
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('OrderedCalls', () => {
  it('sends at once while nothing moves', async () => {
    const { call, sent, answer, outcomes } = calls();
    call('1');
    call('2');
    expect(sent).toEqual(['a 1', 'a 2']);
    await answer(undefined, 'TWLATE too late');
    expect(outcomes).toEqual(['1', '2: TWLATE too late']);
  });

  it('keeps the order when a call is sent to another node', async () => {
    const { call, sent, answer, outcomes } = calls();
    call('1');
    call('2');
    await answer('MOVED 7 b:1');
    call('3');
    call('other', 'another key');
    expect(sent).toEqual(['a 1', 'a 2', 'a other']);
    await answer('MOVED 7 b:1', undefined);
    expect(sent.slice(3)).toEqual(['b 1', 'b 2', 'b 3']);
    await answer(undefined, undefined, undefined);
    expect(outcomes).toEqual(['other', '1', '2', '3']);
  });

  it('waits for what is in flight when the owner changes without a redirect', async () => {
    const { call, sent, answer, own } = calls();
    call('1');
    own('b');
    call('2');
    expect(sent).toEqual(['a 1']);
    await answer(undefined);
    expect(sent).toEqual(['a 1', 'b 2']);
  });

  it('asks another node for a while', async () => {
    const { call, sent, answer, outcomes } = calls();
    call('1');
    await answer('ASK 7 b:1');
    call('2');
    await answer(undefined);
    expect(sent).toEqual(['a 1', 'b? 1', 'a 2']);
    await answer(undefined);
    expect(outcomes).toEqual(['1', '2']);
  });

  it('gives up after some redirects, and when there is no owner', async () => {
    const { call, sent, answer, outcomes, own } = calls();
    call('1');
    for (let i = 0; i <= MAX_REDIRECTS; i += 1)
      await answer(`MOVED 7 ${i % 2 === 0 ? 'b' : 'a'}:1`);
    expect(sent).toHaveLength(MAX_REDIRECTS + 1);
    own('');
    call('2');
    await answer();
    expect(outcomes).toEqual([`1: redirected ${MAX_REDIRECTS} times`, '2: no owner']);
  });
});
