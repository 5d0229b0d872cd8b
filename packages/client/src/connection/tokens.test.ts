import { describe, expect, it } from 'vitest';
import { AuthError, TokenError } from '../errors.ts';
import { settle } from '../testing/fake-runtime.ts';
import { Bench } from '../testing/fake-socket.ts';

const CHANNEL = 'BTC.trade';

describe('tokens', () => {
  const AUTH = { auth: 'required' };

  it('are fetched before a socket is opened, and sent before anything else', async () => {
    const contexts: unknown[] = [];
    const bench = new Bench({
      token: ({ reason, attempt }) => {
        contexts.push([reason, attempt]);
        return 'jwt';
      },
    });
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept(AUTH);
    expect(socket.sent).toMatchObject([{ type: 'auth', token: 'jwt' }]);
    socket.tell({
      type: 'authenticated',
      id: socket.sent[0]!.id,
      subject: 'u1',
      expiresInMs: 100_000,
    });
    await settle();
    expect(bench.client.state).toMatchObject({ session: { subject: 'u1' } });
    expect(socket.asked).toHaveLength(1);
    for (let passed = 0; passed < 80_000; passed += 10_000) {
      socket.publish(CHANNEL, undefined);
      await bench.runtime.pass(10_000);
    }
    expect(socket.requests('auth')).toHaveLength(2);
    expect(contexts).toEqual([
      ['connect', 0],
      ['expiring', 0],
    ]);
  });

  it('may fail three times', async () => {
    const attempts: unknown[] = [];
    const bench = new Bench({
      token: ({ reason, attempt }) => {
        attempts.push(`${reason} ${attempt}`);
        if (attempt < 3) throw new Error('no network');
        return 'jwt';
      },
    });
    bench.client.channel(CHANNEL).subscribe(() => {});
    await settle();
    expect(bench.client.state).toMatchObject({ name: 'waiting', cause: { code: 'token_failed' } });
    await bench.runtime.pass(10_000);
    await bench.accept(AUTH);
    expect(attempts).toEqual(['connect 0', 'connect 1', 'connect 2', 'connect 3']);
    expect(bench.sockets).toHaveLength(1);
  });

  it('that come too late are not used', async () => {
    const late: ((token: string) => void)[] = [];
    const bench = new Bench({ token: () => new Promise((resolve) => late.push(resolve)) });
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.runtime.pass(10_000);
    const { cause } = bench.client.state as { cause: unknown };
    expect(cause).toBeInstanceOf(TokenError);
    late[0]!('old');
    await settle();
    expect(bench.sockets).toHaveLength(0);
  });

  it('that were refused are fetched once more, and then the client ends', async () => {
    const reasons: string[] = [];
    const bench = new Bench({
      token: ({ reason }) => {
        reasons.push(reason);
        return 'jwt';
      },
    });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    for (const code of ['unauthorized', 'unauthorized']) {
      const socket = await bench.accept(AUTH);
      socket.tell({ type: 'error', id: 1, code, message: '', retryable: false });
      socket.ends(4401);
      await bench.runtime.pass(2_000);
    }
    expect(reasons).toEqual(['connect', 'refused']);
    expect(bench.client.state).toMatchObject({ name: 'closed' });
    expect(items.error).toBeInstanceOf(AuthError);
  });

  it('that expired are fetched again, and the channel is resumed', async () => {
    const bench = new Bench({ token: () => 'jwt' });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.accept(AUTH);
    first.tell({ type: 'authenticated', id: 1, subject: 'u1', expiresInMs: 60_000 });
    await settle();
    first.answer(CHANNEL, { epoch: 'e1', offset: 1 });
    first.ends(4402);
    await bench.runtime.pass(1_000);
    const second = await bench.accept(AUTH);
    second.tell({ type: 'authenticated', id: 1, subject: 'u1', expiresInMs: 60_000 });
    await settle();
    expect(second.asked[0]!.since).toEqual({ epoch: 'e1', offset: 1 });
    expect(items.isDone).toBe(false);
  });

  it('may have ended when a channel is asked for: it is asked for again, and not given up', async () => {
    const bench = new Bench({ token: () => 'jwt' });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.accept(AUTH);
    const authenticated = { type: 'authenticated', subject: 'u1', expiresInMs: 60_000 };
    socket.tell({ ...authenticated, id: 1 });
    await settle();
    const { id } = socket.requests('subscribe').at(-1)!;
    socket.tell({ type: 'error', id, code: 'token_expired', message: '', retryable: false });
    expect(bench.client.channel(CHANNEL).state).toMatchObject({
      ...{ name: 'retrying', error: { code: 'token_expired' } },
    });
    socket.tell({ ...authenticated, id: 2 });
    await bench.runtime.pass(1_000);
    expect(socket.asked).toHaveLength(2);
    expect(items.isDone).toBe(false);
  });

  it('are needed where the node asks for one', async () => {
    const bench = new Bench();
    const refused = expect(bench.client.ready()).rejects.toBeInstanceOf(AuthError);
    await bench.accept(AUTH);
    await refused;
  });
});
