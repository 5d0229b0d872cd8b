import type { ClientOptions } from '@tradewind/client';
import { holds, pause, same } from '../scene.ts';
import type { Scenario } from './scenario.ts';

/** Token providers that fail, and tokens that are refused. */
export const TOKEN_SCENARIOS: readonly Scenario[] = [
  {
    number: 9,
    title: 'a token provider that rejects three times',
    async run(scene) {
      const calls: string[] = [];
      const client = scene.client(
        {
          token: async ({ reason, attempt }) => {
            calls.push(`${reason} ${attempt}`);
            if (calls.length < 4) throw new Error('no network');
            return await scene.driver.token('good');
          },
        },
        scene.driver.securedUrl,
      );
      scene.follow(client);
      const state = await scene.until(client, 'waiting');
      holds('a TokenError', state.name === 'waiting' && state.cause.code === 'token_failed');
      await scene.live(client);
      await scene.deliver('a', 3);
      same('calls', calls, ['connect 0', 'connect 1', 'connect 2', 'connect 3']);
    },
  },
  {
    number: 10,
    title: 'a token provider that hangs, and one that answers late',
    async run(scene) {
      let calls = 0;
      const client = scene.client(
        {
          tokenTimeoutMs: 200,
          token: async () => {
            calls += 1;
            if (calls === 1) await new Promise(() => {});
            if (calls === 2) {
              await pause(600);
              return 'late, and not a token';
            }
            return await scene.driver.token('good');
          },
        },
        scene.driver.securedUrl,
      );
      scene.follow(client);
      await scene.until(client, 'waiting');
      same('sockets without a token', scene.spy.sockets.length, 0);
      await scene.live(client);
      await scene.deliver('a', 3);
      same('tokens that were sent', scene.spy.sent.filter(({ type }) => type === 'auth').length, 1);
    },
  },
  {
    number: 11,
    title: 'tokens that are refused once, and for good',
    async run(scene) {
      const reasons: string[] = [];
      let kinds: ('good' | 'forged' | 'expired')[] = ['forged', 'good'];
      const options: ClientOptions = {
        token: async ({ reason }) => {
          reasons.push(reason);
          return await scene.driver.token(kinds.shift() ?? 'forged');
        },
      };
      const client = scene.client(options, scene.driver.securedUrl);
      scene.follow(client);
      await scene.live(client);
      await scene.deliver('a', 3);
      same('reasons', reasons, ['connect', 'refused']);
      kinds = ['expired', 'good'];
      client.pause();
      const end = await scene.driver.publish(scene.name(), 3);
      client.resume();
      await scene.followers[0]!.reaches(end);
      kinds = [];
      const second = scene.client(options, scene.driver.securedUrl);
      const follower = scene.follow(second, 'b');
      await scene.until(second, 'closed');
      await follower.until('its end', () => follower.isOver);
      same('the error', (follower.error as { code?: string }).code, 'unauthorized');
    },
  },
];
