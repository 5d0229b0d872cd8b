import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import { PUBLISH_SCRIPT } from '../contract/publish-script.ts';
import { type FakeAnswer, startFakeRedis } from '../link/testing/fake-redis.ts';
import { RedisCommands } from './redis-commands.ts';

const NOSCRIPT = '-NOSCRIPT No matching script.\r\n';
const NO_FUNCTION = '-ERR Function not found\r\n';
const FORBIDDEN = "-NOPERM User u has no permissions to run the 'eval' command\r\n";

const SCRIPTS = ['eval', 'evalsha'];
const ALL = ['fcall', ...SCRIPTS];

/**
 * A command link to a Redis that answers script calls as told: payloads seen come as `eval:p`. By default it does not know
 * FCALL at all.
 */
async function startedCommands(
  answer: (payload: string, command: string) => string,
  answered = SCRIPTS,
) {
  const calls: string[] = [];
  const events: string[] = [];
  const scripted: FakeAnswer = ([name = '', ...args]) => {
    if (!answered.includes(name)) return undefined;
    const payload = args[5] ?? '';
    calls.push(`${name}:${payload}`);
    return answer(payload, name);
  };
  const redis = await startFakeRedis(scripted);
  const settings = {
    url: redis.url,
    password: undefined,
    certificateAuthority: undefined,
    connectionName: 'test',
  };
  const commands = new RedisCommands(settings, {
    available: () => events.push('available'),
    unavailable: () => events.push('unavailable'),
  });
  onTestFinished(async () => {
    await commands.stop();
    await redis[Symbol.asyncDispose]();
  });
  commands.start();
  await eventually(() => expect(commands.available).toBe(true));
  const publish = (payload: string | Uint8Array, channel = 'a') =>
    commands.publishSequenced({
      channel,
      payload,
      historySize: 0,
      historyTtlMs: 0,
      idempotencyWindowMs: 0,
    });
  return { redis, events, calls, publish };
}

let offset = 0;
const done = () => `*3\r\n$1\r\nk\r\n:${++offset}\r\n:0\r\n`;

describe('ScriptCalls', () => {
  it('sends the text once a connection, and its SHA-1 from then on', async () => {
    const { redis, events, calls, publish } = await startedCommands(done);
    await Promise.all([publish('1'), publish('2'), publish('3')]);
    expect(calls).toEqual(['eval:1', 'evalsha:2', 'evalsha:3']);
    expect(redis.commands.find(([name]) => name === 'evalsha')?.[1]).toBe(PUBLISH_SCRIPT.sha);
    for (const socket of redis.sockets) socket.destroy();
    await eventually(() => expect(events).toEqual(['available', 'unavailable', 'available']));
    await publish('4');
    expect(calls.at(-1)).toBe('eval:4');
  });

  it('repeats what a flush refused in the order of the calls, and what came meanwhile behind it', async () => {
    let loaded = true;
    const { calls, publish } = await startedCommands((payload, command) => {
      if (command === 'eval') loaded = true;
      if (payload === '2' && command === 'evalsha') loaded = false;
      return loaded ? done() : NOSCRIPT;
    });
    const refused = ['1', '2', '3', '4'].map((payload) => publish(payload));
    await refused[0];
    const all = await Promise.all([...refused, publish('5'), publish('6')]);
    expect(calls.slice(0, 4)).toEqual(['eval:1', 'evalsha:2', 'evalsha:3', 'evalsha:4']);
    expect(calls.slice(-5)).toEqual(['eval:2', 'evalsha:3', 'evalsha:4', 'evalsha:5', 'evalsha:6']);
    const offsets = all.map((position) => position.offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  });

  it('repeats the bytes as they were at the call', async () => {
    const { calls, publish } = await startedCommands((_payload, command) =>
      command === 'eval' ? done() : NOSCRIPT,
    );
    await publish('1');
    const payload = Buffer.from('2');
    const published = publish(payload);
    payload.fill('x');
    await published;
    expect(calls).toEqual(['eval:1', 'evalsha:2', 'eval:2']);
  });

  it('rejects, rather than reorders, what a later call of its channel has overtaken', async () => {
    const { calls, publish } = await startedCommands((payload, command) =>
      command === 'evalsha' && payload !== '3' ? NOSCRIPT : done(),
    );
    await publish('1');
    const [second, third, other, fourth] = await Promise.allSettled([
      publish('2'),
      publish('3'),
      publish('other', 'b'),
      publish('4'),
    ]);
    expect(second).toMatchObject({
      reason: { name: 'RedisUnavailableError', outcome: 'not-sent' },
    });
    for (const { status } of [third, other, fourth]) expect(status).toBe('fulfilled');
    expect(calls.filter((call) => call.endsWith(':2'))).toEqual(['evalsha:2']);
    expect(calls.filter((call) => call.endsWith(':3'))).toEqual(['evalsha:3']);
    expect(calls.findLastIndex((call) => call.endsWith(':other'))).toBeLessThan(
      calls.findLastIndex((call) => call.endsWith(':4')),
    );
  });

  it('knows of a call that was refused and not repeated that it was not executed', async () => {
    const { redis, publish } = await startedCommands((payload) => {
      if (payload === '1') return done();
      return payload === '2' ? NOSCRIPT : '';
    });
    await publish('1');
    const outcomes = Promise.allSettled([publish('2'), publish('3')]);
    await eventually(() => expect(redis.commands.at(-1)).toContain('3'));
    for (const socket of redis.sockets) socket.destroy();
    expect(await outcomes).toMatchObject([
      { reason: { outcome: 'not-sent' } },
      { reason: { outcome: 'unknown' } },
    ]);
  });

  it('calls the function where Redis has it, and sends no script', async () => {
    const { redis, calls, publish } = await startedCommands(done, ALL);
    await Promise.all([publish('1'), publish('2')]);
    expect(calls).toEqual(['fcall:1', 'fcall:2']);
    expect(redis.commands.find(([name]) => name === 'fcall')?.[1]).toBe(PUBLISH_SCRIPT.name);
  });

  it('sends the script in the order of the calls where Redis has no function', async () => {
    const answer = (_payload: string, command: string) =>
      command === 'fcall' ? NO_FUNCTION : done();
    const { calls, publish } = await startedCommands(answer, ALL);
    const all = await Promise.all([publish('1'), publish('2'), publish('3')]);
    expect(calls.slice(0, 3)).toEqual(['fcall:1', 'fcall:2', 'fcall:3']);
    expect(calls.slice(3)).toEqual(['eval:1', 'evalsha:2', 'evalsha:3']);
    const offsets = all.map((position) => position.offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  });

  it('sends the script where the user may not call functions', async () => {
    const forbidden = "-NOPERM User u has no permissions to run the 'fcall' command\r\n";
    const answer = (_payload: string, command: string) =>
      command === 'fcall' ? forbidden : done();
    const { calls, publish } = await startedCommands(answer, ALL);
    await publish('1');
    await publish('2');
    expect(calls).toEqual(['fcall:1', 'eval:1', 'evalsha:2']);
  });

  it('tells a user who may not send scripts that the function is missing, until it is loaded', async () => {
    let isLoaded = false;
    const answer = (_payload: string, command: string) => {
      if (command !== 'fcall') return FORBIDDEN;
      return isLoaded ? done() : NO_FUNCTION;
    };
    const { calls, publish } = await startedCommands(answer, ALL);
    await expect(publish('1')).rejects.toMatchObject({ message: 'ERR Function not found' });
    isLoaded = true;
    await publish('2');
    expect(calls).toEqual(['fcall:1', 'eval:1', 'fcall:2']);
  });

  it('passes on what the script refuses, and sends it once', async () => {
    const { calls, publish } = await startedCommands(() => '-TWLATE it is 5 ms later\r\n');
    await expect(publish('1')).rejects.toMatchObject({ name: 'RedisRefusedError', code: 'TWLATE' });
    expect(calls).toEqual(['eval:1']);
  });
});
