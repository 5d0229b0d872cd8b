import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { WebSocket } from 'ws';
import { bringRedis } from '../processes/bring-redis.ts';
import { startService } from '../processes/service-process.ts';

/** Publications that are traced. What did not run for each of them was something else that ran at the same time. */
const ROUNDS = 12;

/** Publications before the first trace: a channel's first one begins its epoch, and code that runs once has run. */
const WARM_UP = 5;

/** Between two publications, in ms: all that the one before caused is over. */
const QUIET_MS = 60;

/** How long anything of a trace may take, in ms. */
const DEADLINE_MS = 10_000;

const CHANNEL = 'HOUSE.trade';

/** What V8 says of one script: its functions, and how often each ran since it was asked last. */
export interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
}

/** The files of a workspace in which a function ran, by their paths from its root. Installed packages are left out. */
export function filesThatRan(scripts: readonly ScriptCoverage[], root: string): readonly string[] {
  const base = pathToFileURL(root.endsWith('/') ? root : `${root}/`).href;
  return scripts
    .filter(({ url }) => url.startsWith(base) && !url.includes('/node_modules/'))
    .filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
    .map(({ url }) => decodeURIComponent(url.slice(base.length)));
}

/**
 * The files of a workspace that one sequenced publication crosses in an edge, from Redis to a client's socket: those
 * in which a function ran between the request to publish it and its arrival, by precise coverage, for each of
 * {@link ROUNDS} publications. The edge has one worker and otherwise its defaults. An ingest of the same workspace
 * publishes, since it gives offsets.
 *
 * @param root the workspace's root folder; it must be installed.
 */
export async function crossedFiles(root: string): Promise<readonly string[]> {
  await using stack = new AsyncDisposableStack();
  const redis = await bringRedis((line) => console.error(line));
  stack.defer(() => redis.stop());
  const env = { REDIS_URL: redis.url, DRAIN_SECONDS: '3', DRAIN_ACCEPT_SECONDS: '0' };
  const ingest = stack.use(await startService('ingest', env, root));
  const inspectable = { EDGE_WORKERS: '1', NODE_OPTIONS: '--inspect=127.0.0.1:0' };
  const edge = stack.use(await startService('edge', { ...env, ...inspectable }, root));
  await Promise.all([untilReady(edge.url), untilReady(ingest.url)]);

  const client = await openSocket(`${edge.url.replace('http', 'ws')}/ws`);
  stack.defer(() => client.terminate());
  client.send(JSON.stringify({ type: 'subscribe', channels: [CHANNEL] }));
  await frameWith(client, '"done":true');
  const inspector = await openSocket(inspectorUrl(edge.output));
  stack.defer(() => inspector.terminate());
  await ask(inspector, 'Profiler.enable');
  await ask(inspector, 'Profiler.startPreciseCoverage', { callCount: true, detailed: false });

  const publish = async (number: number): Promise<void> => {
    const arrival = frameWith(client, `"number":${number}`);
    await postPublication(ingest.url, number);
    await arrival;
  };
  for (let number = 1; number <= WARM_UP; number += 1) await publish(number);
  let crossed: readonly string[] | undefined;
  for (let number = WARM_UP + 1; number <= WARM_UP + ROUNDS; number += 1) {
    await sleep(QUIET_MS);
    await ask(inspector, 'Profiler.takePreciseCoverage');
    await publish(number);
    const ran = filesThatRan(await takeCoverage(inspector), root);
    crossed = crossed === undefined ? ran : crossed.filter((file) => ran.includes(file));
  }
  return (crossed ?? []).toSorted();
}

async function takeCoverage(inspector: WebSocket): Promise<readonly ScriptCoverage[]> {
  const answer = await ask(inspector, 'Profiler.takePreciseCoverage');
  return (answer as { result: readonly ScriptCoverage[] }).result;
}

async function postPublication(url: string, number: number): Promise<void> {
  const response = await fetch(`${url}/v1/channels/${CHANNEL}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ number }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (!response.ok) throw new Error(`ingest answered ${response.status}`);
  await response.arrayBuffer();
}

async function untilReady(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  while (!(await fetch(`${url}/readyz`, { signal: deadline })).ok) await sleep(QUIET_MS);
}

/** Where the inspector of a process listens, as the process printed it. */
function inspectorUrl(output: readonly string[]): string {
  const line = output.find((each) => each.includes('Debugger listening on'));
  const url = line?.match(/ws:\/\/\S+/)?.[0];
  if (url === undefined) throw new Error('the edge printed no address of its inspector');
  return url;
}

async function openSocket(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/** The text of the next frame that holds `part`. */
function frameWith(socket: WebSocket, part: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no frame with ${part}`)), DEADLINE_MS);
    socket.on('message', function listen(data) {
      const text = String(data);
      if (!text.includes(part)) return;
      clearTimeout(timer);
      socket.off('message', listen);
      resolve(text);
    });
  });
}

let lastRequest = 0;

/** One request to the inspector, and its answer. */
async function ask(inspector: WebSocket, method: string, params: object = {}): Promise<unknown> {
  lastRequest += 1;
  const answer = frameWith(inspector, `{"id":${lastRequest},`);
  inspector.send(JSON.stringify({ id: lastRequest, method, params }));
  const { result, error } = JSON.parse(await answer);
  if (error !== undefined) throw new Error(`${method}: ${error.message}`);
  return result;
}
