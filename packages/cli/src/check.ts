import { type Client, connect, type Session } from '@tradewind/client';
import { createPublisher } from '@tradewind/publisher';
import { describeFailure } from './describe-failure.ts';
import { connectRedis, countListeners, hostsOf, type RedisClient } from './redis.ts';
import type { ChannelSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** Publications that must arrive. */
const PUBLICATIONS = 5;

/** How long an edge may take for each answer, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

interface Finding {
  readonly check: 'redis' | 'edge' | 'welcome' | 'trades';
  /** Host and port of the edge that it is about. Undefined for Redis. */
  readonly edge?: string;
  readonly ok: boolean;
  readonly found: string;
}

/**
 * Asks Redis and each edge what they are, and sends trades from one to the other. Prints what it finds, goes on after a failure, and
 * resolves with whether all is well.
 */
export async function checkDeployment(
  settings: ChannelSettings,
  terminal: Terminal,
): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const findings: Finding[] = [];
  const attempt = async <T>(
    check: Finding['check'],
    find: () => Promise<{ readonly found: string; readonly value: T }>,
    edge?: string,
  ): Promise<T | undefined> => {
    const about = edge === undefined ? { check } : { check, edge };
    const naming = (text: string): string =>
      edge === undefined || text.includes(edge) ? text : `${edge}: ${text}`;
    let finding: Finding;
    let result: T | undefined;
    try {
      const { found, value } = await find();
      finding = { ...about, ok: true, found: naming(found) };
      result = value;
    } catch (error) {
      finding = { ...about, ok: false, found: naming(describeFailure(error)) };
    }
    findings.push(finding);
    const { ok, found } = finding;
    if (settings.json) terminal.print(JSON.stringify(finding));
    else terminal.print(`${ok ? 'ok    ' : 'FAILED'}  ${check.padEnd(8)} ${found}`);
    return result;
  };

  const redis = await attempt('redis', async () => {
    const value = await connectRedis(settings);
    stack.defer(() => value.disconnect());
    return { found: await describeRedis(value, settings.redisUrl), value };
  });
  for (const edgeUrl of settings.edgeUrls) {
    const { host } = edgeUrl;
    await attempt('edge', async () => ({ found: await askReadiness(edgeUrl), value: true }), host);
    const client = await attempt(
      'welcome',
      async () => {
        const startedAt = performance.now();
        const value = stack.use(openClient(edgeUrl, settings));
        const { node, subject } = await untilAccepted(value);
        const ms = Math.round(performance.now() - startedAt);
        const who = subject === undefined ? '' : `, as ${subject}`;
        return { found: `${node} accepts this client after ${ms} ms${who}`, value };
      },
      host,
    );
    if (redis !== undefined && client !== undefined)
      await attempt(
        'trades',
        async () => ({ found: await sendTrades(redis, client, settings), value: true }),
        host,
      );
  }
  return findings.every(({ ok }) => ok);
}

async function describeRedis(redis: RedisClient, url: string): Promise<string> {
  // A publisher's user may have no right to INFO, and needs none.
  const info = await redis.info('server').catch(() => '');
  const version = /^redis_version:(\S+)/m.exec(info)?.[1];
  const sent = Date.now();
  const [seconds, microseconds] = await redis.time();
  const theirs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  const apart = Math.abs(Math.round(theirs - (sent + Date.now()) / 2));
  return `${version === undefined ? 'Redis' : `Redis ${version}`} at ${hostsOf(url)}; clocks are ${apart} ms apart`;
}

/** Rejects unless the edge calls itself ready. */
async function askReadiness(edgeUrl: URL): Promise<string> {
  const url = new URL('/readyz', edgeUrl.href.replace(/^ws/, 'http'));
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) }).catch(
    (error: Error & { cause?: Error }) => {
      throw new Error(`${url.href}: ${error.cause?.message || error.message}`);
    },
  );
  const text = (await response.text()).trim();
  if (!response.ok)
    throw new Error(`${url.href} answers ${response.status}: ${text.slice(0, 200)}`);
  const { degraded } = JSON.parse(text) as { degraded?: boolean };
  if (degraded) throw new Error(`${url.href}: ready, but cut off from Redis (degraded)`);
  return `${url.href} answers that it is ready`;
}

function openClient(edgeUrl: URL, { token }: ChannelSettings): Client {
  return connect(edgeUrl, token === undefined ? {} : { token });
}

/** Rejects with the first failure, because a check must not retry as the client would. */
async function untilAccepted(client: Client): Promise<Session> {
  const failed = new AbortController();
  using _ = client.on('state', ({ state }) => {
    if (state.name === 'waiting') failed.abort(state.cause);
  });
  const late = AbortSignal.timeout(ANSWER_DEADLINE_MS);
  return await client.ready({ signal: AbortSignal.any([failed.signal, late]) });
}

/** Publishes and waits for each at the edge. */
async function sendTrades(
  redis: RedisClient,
  client: Client,
  { channel, isCluster, isClassic }: ChannelSettings,
): Promise<string> {
  /** Offset → when it came, by `performance.now()`; a publication may be here before its own call has returned. */
  const arrivals = new Map<number, PromiseWithResolvers<number>>();
  const arrival = (offset: number): PromiseWithResolvers<number> => {
    const known = arrivals.get(offset) ?? Promise.withResolvers<number>();
    arrivals.set(offset, known);
    return known;
  };
  using subscription = client.channel(channel).subscribe(({ offset }) => {
    if (offset !== undefined) arrival(offset).resolve(performance.now());
  });
  await within(subscription.ready, `no answer to subscribing to ${channel}`).catch(
    (error: Error) => {
      const isRefused = (error as { code?: unknown }).code === 'channel_not_allowed';
      if (!isRefused) throw error;
      throw new Error(`${error.message}. Name a channel that this token allows by --channel`);
    },
  );
  const publisher = createPublisher(redis, { history: 0, sharded: isCluster && !isClassic });
  const delays: number[] = [];
  for (let i = 1; i <= PUBLICATIONS; i += 1) {
    const startedAt = performance.now();
    const { offset } = await publisher.publish(channel, { check: i, at: Date.now() });
    const late = `publication ${i} of ${PUBLICATIONS} did not come`;
    const arrivedAt = await within(arrival(offset).promise, late).catch(async (error: Error) => {
      throw new Error(`${error.message}. ${await hintOf(redis, channel)}`);
    });
    delays.push(arrivedAt - startedAt);
  }
  delays.sort((a, b) => a - b);
  const median = delays[delays.length >> 1]!.toFixed(1);
  return `${PUBLICATIONS} of ${PUBLICATIONS} on ${channel} went through Redis to the edge and back, ${median} ms (median)`;
}

/** Where a publication may have been lost. */
async function hintOf(redis: RedisClient, channel: string): Promise<string> {
  try {
    return (await countListeners(redis, channel)) === 0
      ? 'Nobody is subscribed in this Redis: does the edge use another one?'
      : 'The edge is subscribed, but does not pass it on.';
  } catch {
    return 'This user may not ask Redis who is subscribed.';
  }
}

/** Rejects with a sentence after {@link ANSWER_DEADLINE_MS}. */
async function within<T>(promise: Promise<T>, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `${sentence} within ${ANSWER_DEADLINE_MS} ms`;
    timer = setTimeout(() => reject(new Error(message)), ANSWER_DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
