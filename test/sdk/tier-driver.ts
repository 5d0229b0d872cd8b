import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Position } from '@tradewind/client';
import { Redis } from 'ioredis';
import { TcpFaultProxy } from '../support/faults/tcp-fault-proxy.ts';
import { hs256, makeToken, nowSeconds } from '../support/identity/tokens.ts';
import { startRedis } from '../support/redis/redis.ts';
import { startEdge, type TestEdge, untilLinked } from '../support/services/service.ts';
import type { Driver, Fault } from './driver.ts';

const SCRIPT = new URL('../../docs/publish/tradewind_publish_1.lua', import.meta.url);

const KEY = 'planted-secret-of-the-sdk-scenarios';
const HISTORY = 1_000;
const HISTORY_TTL_MS = 600_000;

/** Two edges behind fault proxies and one with tokens, on one Redis. Disposing of it ends all of its processes. */
export interface TierDriver extends Driver, AsyncDisposable {}

interface Node {
  edge: TestEdge;
  readonly proxy: TcpFaultProxy;
  readonly weather: Disposable[];
}

export async function startTierDriver(): Promise<TierDriver> {
  const stack = new AsyncDisposableStack();
  try {
    const redis = stack.use(await startRedis());
    const backend = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
    backend.on('error', () => {});
    stack.defer(() => backend.disconnect());
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-sdk-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const keyFile = join(folder, 'key');
    await writeFile(keyFile, KEY);
    const env = {
      REDIS_URL: redis.url,
      EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
      // Clients come back many times within seconds here.
      EDGE_SUBSCRIBE_RATE: '10000',
      EDGE_REQUEST_RATE: '1000',
      EDGE_REPLAY_RATE_BYTES: '33554432',
      EDGE_MAX_CHANNELS_PER_CLIENT: '12000',
      EDGE_NODE_SUBSCRIBE_RATE: '100000',
    };
    const start = async (name: string): Promise<TestEdge> => {
      const edge = await startEdge({ ...env, EDGE_NODE_ID: name });
      await untilLinked(edge);
      return edge;
    };
    const nodes: Node[] = [];
    for (const name of ['sdk-1', 'sdk-2']) {
      const node: Node = {
        edge: await start(name),
        proxy: undefined as never,
        weather: [],
      };
      stack.defer(() => node.edge[Symbol.asyncDispose]());
      const proxy = await TcpFaultProxy.start({
        ...{ host: '127.0.0.1', port: node.edge.port, speaks: 'bytes' },
      });
      stack.use(proxy);
      nodes.push(Object.assign(node, { proxy }));
    }
    const secured = stack.use(
      await startEdge({ ...env, EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile }),
    );
    await untilLinked(secured);
    const portal = createServer((_request, response) => {
      response.end('<html><body>Please sign in to the network.</body></html>');
    });
    portal.on('upgrade', (_request, socket) => {
      socket.end(
        'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>',
      );
    });
    await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
    stack.defer(() => void portal.close());
    const portalPort = (portal.address() as AddressInfo).port;

    const script = await readFile(SCRIPT, 'utf8');
    const numbers = new Map<string, number>();
    const next = (channel: string): string => {
      const n = (numbers.get(channel) ?? 0) + 1;
      numbers.set(channel, n);
      return JSON.stringify({ n });
    };

    const act = async (
      { proxy, weather, ...node }: Node,
      fault: Fault,
      index: number,
    ): Promise<void> => {
      switch (fault) {
        case 'cut':
          proxy.cut();
          break;
        case 'reset':
          proxy.reset();
          break;
        case 'silent':
          weather.push(proxy.impose({ blackhole: true }));
          break;
        case 'deaf':
          weather.push(proxy.impose({ blackhole: true, direction: 'to-server' }));
          break;
        case 'slow':
          weather.push(proxy.impose({ delayMs: 60 }));
          break;
        case 'late':
          weather.push(proxy.impose({ delayMs: 1_500 }));
          break;
        case 'clear':
          for (const each of weather.splice(0)) each[Symbol.dispose]();
          break;
        case 'refuse':
        case 'accept':
          proxy.refuse(fault === 'refuse');
          break;
        case 'portal':
          proxy.retarget({ host: '127.0.0.1', port: portalPort });
          break;
        case 'edge':
          proxy.retarget({ host: '127.0.0.1', port: node.edge.port });
          break;
        case 'shed': {
          const url = `${node.edge.adminUrl}/shed?count=1000&overSeconds=1`;
          const response = await fetch(url, { method: 'POST' });
          await response.arrayBuffer();
          break;
        }
        case 'kill':
          node.edge.signal('SIGKILL');
          await node.edge.exited;
          break;
        case 'drain': {
          const response = await fetch(`${node.edge.adminUrl}/drain`, { method: 'POST' });
          await response.arrayBuffer();
          await node.edge.exited;
          break;
        }
        case 'start': {
          const edge = await start(`sdk-${index + 1}`);
          nodes[index]!.edge = edge;
          proxy.retarget({ host: '127.0.0.1', port: edge.port });
        }
      }
    };

    const owned = stack.move();
    return {
      urls: nodes.map(({ proxy }) => `ws://127.0.0.1:${proxy.port}/ws`),
      securedUrl: secured.wsUrl,
      async publish(channel, count, history = HISTORY) {
        let position: Position | undefined;
        for (let i = 0; i < count; i += 1) {
          const [epoch, offset] = (await backend.eval(
            ...([script, 2, `{${channel}}:meta`, `{${channel}}:log`] as const),
            ...([channel, next(channel), history, HISTORY_TTL_MS, '', 0, 0] as const),
          )) as [string, number];
          position = { epoch, offset };
        }
        return position!;
      },
      async publishPlain(channel, count) {
        for (let i = 0; i < count; i += 1) await backend.publish(channel, next(channel));
      },
      async forget(channel) {
        await backend.del(`{${channel}}:meta`, `{${channel}}:log`);
      },
      async fault(edge, fault) {
        await act(nodes[edge]!, fault, edge);
      },
      async linked() {
        await Promise.all([secured, ...nodes.map(({ edge }) => edge)].map(untilLinked));
      },
      async connections() {
        return nodes.reduce((sum, { proxy }) => sum + proxy.links.length, 0);
      },
      async restartRedis() {
        await redis.restart();
      },
      async token(kind) {
        const claims = {
          sub: 'u1',
          exp: nowSeconds() + (kind === 'expired' ? -60 : 600),
          tw: { channels: ['BTC.*'], history: ['BTC.*'] },
        };
        return makeToken(
          { alg: 'HS256', typ: 'JWT' },
          claims,
          hs256(kind === 'forged' ? 'forged' : KEY),
        );
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
