import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Work } from './remote-worker.ts';

/** What a runtime may ask for. */
export type Calls = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;

/** What a page may do: it runs no text as a program, and connects to this machine only. */
const CONTENT_POLICY =
  "default-src 'none'; script-src 'self'; connect-src 'self' ws://127.0.0.1:* ; base-uri 'none'";

/** Another page of the tab: it publishes what it was told to, and goes back. */
const ELSEWHERE = `const body = sessionStorage.getItem('elsewhere');
await fetch('/calls/publish', { method: 'POST', body });
history.back();`;

/** Between this process, which has edges and Redis, and a runtime that runs scenarios. */
export interface Bridge extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`; a browser opens it as a page. */
  readonly url: string;
  /** Resolves with the runtime's name for itself as soon as it has imported everything, and rejects if it fails before. */
  readonly arrived: Promise<string>;
  /** Resolves with the faults that the runtime has found. Rejects if the runtime fails. */
  run(work: Work): Promise<readonly string[]>;
  /** Resolves when the runtime asks for work anew. Until then it is given none. */
  awaitAnew(): Promise<void>;
  /** The runtime has failed: nothing that it runs will be answered. */
  fail(error: unknown): void;
}

interface Job extends PromiseWithResolvers<readonly string[]> {
  readonly work: Work;
}

/** @param worker the script with `workFor`. */
export async function startBridge(worker: string, calls: Calls): Promise<Bridge> {
  const queue: Job[] = [];
  let running: Job | undefined;
  let take: ((work: Work) => void) | undefined;
  let anew: (() => void) | undefined;
  /** The page that asks for work, and the one that is loaded again. */
  let present: number | undefined;
  let left: number | undefined;
  let failure: unknown;
  const arrived = Promise.withResolvers<string>();
  arrived.promise.catch(() => {});

  function hand(): void {
    if (take === undefined || queue.length === 0) return;
    running = queue.shift()!;
    take(running.work);
    take = undefined;
  }

  const answers: Calls = {
    ...calls,
    next(agent: string, page: number) {
      // A page that is being loaded again must not take what is for the next one.
      if (page === left) return new Promise(() => {});
      present = page;
      arrived.resolve(agent);
      running?.reject(new Error('the runtime began anew'));
      running = undefined;
      return new Promise((resolve) => {
        take = resolve;
        anew?.();
        hand();
      });
    },
    async done(faults: readonly string[]) {
      running?.resolve(faults);
      running = undefined;
    },
  };

  const start = (url: string): string =>
    `import { workFor } from '/worker.js';\nworkFor('${url}');`;
  const files = (url: string): Readonly<Record<string, readonly [string, string]>> => ({
    '/': [
      'text/html',
      '<!doctype html><title>SDK</title><script type="module" src="/start.js"></script>',
    ],
    '/elsewhere': [
      'text/html',
      '<!doctype html><script type="module" src="/elsewhere.js"></script>',
    ],
    '/elsewhere.js': ['text/javascript', ELSEWHERE],
    '/start.js': ['text/javascript', start(url)],
    '/worker.js': ['text/javascript', worker],
  });

  const server = createServer(async (request, response) => {
    const path = request.url ?? '/';
    response.setHeader('content-security-policy', CONTENT_POLICY);
    if (request.method === 'GET') {
      const [type, text] = files(url)[path] ?? [];
      if (type === undefined) response.statusCode = 404;
      else response.setHeader('content-type', `${type}; charset=utf-8`);
      response.end(text);
      return;
    }
    try {
      const args = (await json(request)) as never[];
      const result = await answers[path.replace('/calls/', '')]!(...args);
      response.end(JSON.stringify(result ?? null));
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error));
    }
  });
  // A runtime may use a connection at the very moment at which we would close it.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    arrived: arrived.promise,
    async run(work) {
      if (failure !== undefined) throw failure;
      const job: Job = { work, ...Promise.withResolvers<readonly string[]>() };
      queue.push(job);
      hand();
      return await job.promise;
    },
    async awaitAnew() {
      take = undefined;
      left = present;
      await new Promise<void>((resolve) => {
        anew = resolve;
      });
      anew = undefined;
    },
    fail(error) {
      failure ??= error;
      for (const waiting of [arrived, running, ...queue.splice(0)]) waiting?.reject(error);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
