import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { CHECKS } from './checks.ts';
import type { SmokeSettings } from './settings.ts';

interface FakeEdge {
  readonly url: URL;
  readonly clients: Set<WebSocket>;
  /** Connections that were let in. */
  readonly accepted: () => number;
}

/** An edge that welcomes clients, and confirms subscriptions. */
async function startFakeEdge(
  options: {
    /** Connections that it lets in, in whole. */
    readonly places?: number;
    readonly maxHeaderSize?: number;
    readonly takesAnySubprotocol?: boolean;
  } = {},
): Promise<FakeEdge> {
  const { places = Infinity, maxHeaderSize = 16_384, takesAnySubprotocol = false } = options;
  let accepted = 0;
  const http = createServer({ maxHeaderSize });
  const server = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    const hasBadProtocol = request.headers['sec-websocket-protocol'] !== undefined;
    const status = hasBadProtocol && !takesAnySubprotocol ? 400 : accepted >= places ? 503 : 101;
    if (status !== 101) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    accepted += 1;
    server.handleUpgrade(request, socket, head, (client) => {
      client.send(JSON.stringify({ type: 'welcome', node: `node-${port}`, auth: 'none' }));
      client.on('message', (data) => {
        const { channels } = JSON.parse(String(data)) as { channels: string[] };
        client.send(JSON.stringify({ type: 'subscribed', id: 1, channels }));
      });
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  onTestFinished(async () => {
    for (const client of server.clients) client.terminate();
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  });
  const url = new URL(`ws://127.0.0.1:${port}/ws`);
  return { url, clients: server.clients, accepted: () => accepted };
}

function run(
  name: string,
  edges: readonly [FakeEdge, ...FakeEdge[]],
  more: Partial<SmokeSettings> = {},
): Promise<unknown> {
  const [first, ...others] = edges.map(({ url }) => url) as [URL, ...URL[]];
  return CHECKS.find((check) => check.name === name)!.run({
    ...{ webSocketUrls: [first, ...others], ingestUrl: 'http://127.0.0.1:1', nodes: edges.length },
    ...{ token: undefined, clientToken: undefined, origin: undefined },
    ...{ certificateAuthority: undefined, idleSeconds: 0, drainSeconds: 0 },
    ...more,
  });
}

async function untilNobodyIsConnected(edges: readonly FakeEdge[]): Promise<void> {
  await vi.waitFor(() => expect(edges.map(({ clients }) => clients.size)).toEqual([0, 0]), 30_000);
}

describe('a check that fails ends its connections', () => {
  it('when no node drains', async () => {
    const edges = [await startFakeEdge(), await startFakeEdge()] as const;
    const failed = run('drain', edges, { drainSeconds: 0.2 });
    await expect(failed).rejects.toThrow('no client was asked to reconnect');
    expect(edges.map(({ accepted }) => accepted())).toEqual([8, 8]);
    await untilNobodyIsConnected(edges);
  });

  it.each(['drain', 'nodes'])('when one of many is refused: %s', async (name) => {
    const edges = [await startFakeEdge(), await startFakeEdge({ places: 7 })] as const;
    await expect(run(name, edges, { drainSeconds: 1 })).rejects.toThrow('503');
    expect(edges.map(({ accepted }) => accepted())).toEqual([8, 7]);
    await untilNobodyIsConnected(edges);
  });
});

describe('a check of what an edge refuses asks each edge', () => {
  it.each([
    ['headers', { maxHeaderSize: 131_072 }],
    ['subprotocol', { takesAnySubprotocol: true }],
  ] as const)('%s', async (name, lenience) => {
    const strict = await startFakeEdge();
    const lenient = await startFakeEdge(lenience);
    // Whichever of them has the next turn.
    for (const edges of [
      [strict, lenient],
      [strict, lenient],
      [lenient, strict],
      [lenient, strict],
    ] as const) {
      await expect(run(name, edges)).rejects.toThrow(lenient.url.host);
    }
    await untilNobodyIsConnected([strict, lenient]);
    expect(await run(name, [strict, strict])).toHaveProperty('confirmed');
  });
});
