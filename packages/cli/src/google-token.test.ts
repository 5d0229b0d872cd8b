import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askGoogleToken } from './google-token.ts';

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

async function startMetadata(answer: RequestListener): Promise<string> {
  server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('askGoogleToken', () => {
  it('asks as the metadata server wants to be asked', async () => {
    const host = await startMetadata((request, response) => {
      const { url = '', headers } = request;
      const isRight = headers['metadata-flavor'] === 'Google' && url.endsWith('/default/token');
      response.writeHead(isRight ? 200 : 403);
      response.end(JSON.stringify({ access_token: 'ya29.x', expires_in: 3_599 }));
    });
    expect(await askGoogleToken(host)).toBe('ya29.x');
  });

  it.each([
    ['it answers 404', 404, 'secret'],
    ['it answers no JSON', 200, 'secret'],
    ['it answers none', 200, '{"token":"secret"}'],
    ['it answers none', 200, 'null'],
  ])('says %s, and never what', async (what, status, body) => {
    const host = await startMetadata((_, response) => response.writeHead(status).end(body));
    const error = await askGoogleToken(host).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toBe(`no token from the metadata server at ${host}: ${what}`);
  });

  it('says why where there is no such server', async () => {
    const host = await startMetadata(() => {});
    server!.close();
    await once(server!, 'close');
    await expect(askGoogleToken(host)).rejects.toThrow(
      /^no token from the metadata server at .*ECONNREFUSED/,
    );
  });
});
