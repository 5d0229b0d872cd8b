import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import { GoogleToken } from './google-token.ts';

/** A metadata server: answers by `answer`. */
let server: Server;
let host: string;
let asked: { readonly url: string; readonly flavor: unknown }[];
let answer: (response: ServerResponse, nth: number) => void;

beforeEach(async () => {
  asked = [];
  answer = (response) => response.end();
  server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', flavor: request.headers['metadata-flavor'] });
    answer(response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const give = (response: ServerResponse, token: string, seconds: unknown): void => {
  response.end(JSON.stringify({ access_token: token, expires_in: seconds, token_type: 'Bearer' }));
};

function start() {
  const failures: { readonly cause: string; readonly leftMs: number }[] = [];
  const tokens: string[] = [];
  const token = new GoogleToken(
    { host },
    { tokenNotRenewed: (cause, leftMs) => failures.push({ cause, leftMs }) },
  );
  token.onChange((next) => tokens.push(next));
  onTestFinished(() => token.stop());
  token.start();
  return { token, tokens, failures };
}

describe('GoogleToken', () => {
  it('asks as Google wants to be asked, and has the token', async () => {
    answer = (response) => give(response, 'first', 3_600);
    const { token, tokens } = start();
    expect(token.current).toBeUndefined();
    await eventually(() => expect(token.current).toBe('first'));
    expect(tokens).toEqual(['first']);
    expect(asked).toEqual([
      {
        url: '/computeMetadata/v1/instance/service-accounts/default/token',
        flavor: 'Google',
      },
    ]);
  });

  it('renews a token in the second half of its life, before it ends', async () => {
    answer = (response, nth) => give(response, `token-${nth}`, 0.4);
    const { token, tokens } = start();
    await eventually(() => expect(tokens.length).toBeGreaterThanOrEqual(3));
    expect(tokens.slice(0, 3)).toEqual(['token-1', 'token-2', 'token-3']);
    expect(token.current).toBeDefined();
  });

  it('has none when it has ended and there is no other', async () => {
    answer = (response, nth) => {
      if (nth === 1) give(response, 'short', 0.2);
      else response.writeHead(503).end('secret');
    };
    const { token, failures } = start();
    await eventually(() => expect(token.current).toBe('short'));
    await eventually(() => expect(token.current).toBeUndefined());
    await eventually(() => expect(failures.length).toBeGreaterThan(0));
    expect(failures[0]!.cause).toBe('the metadata server answers 503');
    expect(failures[0]!.leftMs).toBeLessThanOrEqual(200);
  });

  it.each([
    ['no JSON', 'token'],
    ['no token', '{}'],
    ['no token', '{"access_token":"secret","expires_in":"3600"}'],
    ['no token', '{"access_token":"secret","expires_in":-1}'],
    ['no token', 'null'],
    ['too much', ' '.repeat(20_000)],
  ])('says that it got %s, without what it got: %s', async (cause, text) => {
    answer = (response, nth) => {
      if (nth === 1) response.end(text);
      else give(response, 'good', 3_600);
    };
    const { token, failures } = start();
    await eventually(() => expect(failures).toHaveLength(1));
    expect(failures[0]!.cause).toContain(cause);
    expect(failures[0]!.cause).not.toContain('secret');
    // It asks again after a second.
    await eventually(() => expect(token.current).toBe('good'));
  });

  it('follows no redirect to another server', async () => {
    answer = (response) => response.writeHead(302, { location: 'http://example.com/' }).end();
    const { failures } = start();
    await eventually(() => expect(failures).toHaveLength(1));
  });

  it('asks and tells nothing more after it was stopped', async () => {
    answer = (response, nth) => give(response, `token-${nth}`, 0.2);
    const { token, tokens, failures } = start();
    await eventually(() => expect(tokens).toHaveLength(1));
    token.stop();
    const count = asked.length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(asked.length).toBe(count);
    expect(tokens).toHaveLength(1);
    expect(failures).toEqual([]);
  });
});
