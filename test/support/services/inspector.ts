import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OwnedProcess } from '@tradewind/dev';
import { WebSocket } from 'ws';

/** Memory of another process, in bytes, measured right after a full garbage collection. */
export interface CollectedMemory {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
}

/** The parts of a process that are needed to find its inspector. */
export type Inspectable = Pick<OwnedProcess, 'output'>;

/** Setting for {@link import('./service.ts').startEdge} that makes its inspector listen. */
export const INSPECTABLE = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

/** How long the other process may take to answer, in ms. It may be frozen for half of that. */
const ANSWER_DEADLINE_MS = 60_000;

/**
 * How long a worker may take to count its sockets, in ms. A thread that is about to end may take a question in and never answer;
 * whoever asks must have time to ask again.
 */
const COUNT_DEADLINE_MS = 8_000;

/** How often a frozen worker looks whether it must go on, in ms. */
const LOOK_MS = 20;

/**
 * Makes an edge that was started with {@link INSPECTABLE} collect all garbage, and reads its memory. The inspector does
 * this from outside, so the product needs no code for tests.
 */
export async function collectGarbage(edge: Inspectable): Promise<CollectedMemory> {
  const inspector = await connect(edge);
  try {
    // Finalizers of buffers run between collections, so one collection is not enough.
    for (let round = 0; round < 3; round += 1) await ask(inspector, 'HeapProfiler.collectGarbage');
    const answer = await ask(inspector, 'Runtime.evaluate', {
      expression: 'JSON.stringify(process.memoryUsage())',
    });
    return JSON.parse((answer as { result: { value: string } }).result.value);
  } finally {
    inspector.terminate();
  }
}

/** Evaluates an expression in a process' main thread; its value must be JSON. */
export async function evaluateIn(inspectable: Inspectable, expression: string): Promise<unknown> {
  const inspector = await connect(inspectable);
  try {
    const params = { expression, returnByValue: true };
    const answer = (await ask(inspector, 'Runtime.evaluate', params)) as {
      readonly result: { readonly value?: unknown };
      readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
    };
    const fault = answer.exceptionDetails;
    if (fault !== undefined) throw new Error(`${expression}: ${fault.exception?.description}`);
    return answer.result.value;
  } finally {
    inspector.terminate();
  }
}

/**
 * Returns the value of an expression in the main thread of an edge that was started with {@link INSPECTABLE}, or the
 * result of its promise. It must be JSON.
 */
export async function evaluateInMain(edge: Inspectable, expression: string): Promise<unknown> {
  const inspector = await connect(edge);
  try {
    const params = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = (await ask(inspector, 'Runtime.evaluate', params)) as {
      readonly result: { readonly value?: unknown };
      readonly exceptionDetails?: unknown;
    };
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  } finally {
    inspector.terminate();
  }
}

/**
 * Runs an expression in one of an edge's worker threads, as a fault that the product does not know, and does not wait
 * for its value. Workers are counted from 0 in the order of their start.
 */
export async function runInWorker(
  edge: Inspectable,
  worker: number,
  expression: string,
): Promise<void> {
  const inspector = await connect(edge);
  try {
    const attached = await attachToWorkers(inspector);
    await send(inspector, chosen(attached, worker), expression);
  } finally {
    inspector.terminate();
  }
}

/**
 * Stops one of an edge's worker threads for a while; resolves after it runs again. It uses no core meanwhile, so any
 * delay of other threads is caused by waiting for it.
 */
export async function freezeWorker(edge: Inspectable, worker: number, ms: number): Promise<void> {
  const { thawed } = await beginFreeze(edge, worker, ms);
  await thawed;
}

export interface Freeze {
  /** Resolves after the worker runs again. */
  readonly thawed: Promise<void>;
  /** Ends the freeze before its time. Resolves like `thawed`. */
  thaw(): Promise<void>;
}

/**
 * The same, but resolves before the worker freezes, in its next turn. A frozen thread sees no message, so it looks for a file.
 *
 * @param ms after this time it runs again in any case.
 */
export async function beginFreeze(edge: Inspectable, worker: number, ms: number): Promise<Freeze> {
  const sign = join(tmpdir(), `tradewind-thaw-${randomUUID()}`);
  const inspector = await connect(edge);
  try {
    const session = chosen(await attachToWorkers(inspector), worker);
    const isOver = `process.getBuiltinModule('node:fs').existsSync(${JSON.stringify(sign)})`;
    const look = `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${LOOK_MS})`;
    const wait = `for (const end = Date.now() + ${ms}; Date.now() < end && !${isOver}; ) ${look};`;
    const frozen = `new Promise((thaw) => setImmediate(() => { ${wait} thaw(); }))`;
    await evaluate(inspector, session, `globalThis.frozen = ${frozen}; 0`);
    const answer = evaluate(inspector, session, 'frozen').finally(() => inspector.terminate());
    const thawed = answer.then(() => undefined);
    return {
      thawed,
      async thaw() {
        await writeFile(sign, '');
        await thawed.finally(() => rm(sign));
      },
    };
  } catch (error) {
    inspector.terminate();
    throw error;
  }
}

/**
 * Returns the connected sockets of each of an edge's worker threads, in the order of their start. The runtime reports
 * them and not the product, so the product's counts can be compared with them.
 */
export async function socketsOfWorkers(edge: Inspectable): Promise<readonly number[]> {
  const inspector = await connect(edge);
  try {
    const counts: number[] = [];
    for (const worker of await attachToWorkers(inspector)) {
      const kinds = 'process.getActiveResourcesInfo()';
      const count = `${kinds}.filter((kind) => kind === 'TCPSocketWrap').length`;
      counts.push(Number(await evaluate(inspector, worker, count, COUNT_DEADLINE_MS)));
    }
    return counts;
  } finally {
    inspector.terminate();
  }
}

/** A session with a worker thread. */
interface WorkerSession {
  readonly id: string;
  /** Is aborted when the thread ends, which may be before anything was asked. */
  readonly ended: AbortSignal;
}

/** Opens sessions with all worker threads, in the order of their start. */
async function attachToWorkers(inspector: WebSocket): Promise<readonly WorkerSession[]> {
  const sessions = new Map<string, AbortController>();
  const threads = new Map<string, number>();
  inspector.on('message', (data) => {
    const { method, params } = JSON.parse(String(data));
    if (method === 'NodeWorker.attachedToWorker') {
      sessions.set(params.sessionId, new AbortController());
      threads.set(params.sessionId, threadOf(params.workerInfo.title));
    } else if (method === 'NodeWorker.detachedFromWorker') {
      sessions.get(params.sessionId)?.abort(new Error('the worker has ended'));
    }
  });
  await ask(inspector, 'NodeWorker.enable', { waitForDebuggerOnStart: false });
  // The inspector names them in the order of its own table: the thread that replaces another may come before older ones.
  return [...sessions]
    .toSorted(([a], [b]) => threads.get(a)! - threads.get(b)!)
    .map(([id, { signal }]) => ({ id, ended: signal }));
}

/** The number of a thread, from the inspector's title of it, such as `[worker 4] fan-out 0`. Numbers are never used again. */
function threadOf(title: string): number {
  const [, number] = /^\[worker (\d+)\]/.exec(title) ?? [];
  if (number === undefined) throw new Error(`${JSON.stringify(title)} names no worker`);
  return Number(number);
}

function chosen(attached: readonly WorkerSession[], worker: number): WorkerSession {
  const session = attached[worker];
  if (session === undefined) throw new Error(`${attached.length} workers, none is ${worker}`);
  return session;
}

/** The number of every request to a worker: each session gets only one. */
const WORKER_REQUEST_ID = 1;

async function send(
  inspector: WebSocket,
  { id: sessionId }: WorkerSession,
  expression: string,
): Promise<void> {
  const params = { expression, returnByValue: true, awaitPromise: true };
  const message = JSON.stringify({ id: WORKER_REQUEST_ID, method: 'Runtime.evaluate', params });
  await ask(inspector, 'NodeWorker.sendMessageToWorker', { sessionId, message });
}

/** Waits for the value, or the result of its promise, which must be JSON. Rejects if the expression throws. */
async function evaluate(
  inspector: WebSocket,
  session: WorkerSession,
  expression: string,
  deadlineMs = ANSWER_DEADLINE_MS,
): Promise<unknown> {
  session.ended.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  // Whoever waits for the message to be sent does not listen for this yet.
  promise.catch(() => undefined);
  const end = (): void => reject(session.ended.reason);
  session.ended.addEventListener('abort', end);
  const timer = setTimeout(() => reject(new Error('no answer of a worker')), deadlineMs);
  const listen = (data: unknown): void => {
    const { method, params } = JSON.parse(String(data));
    if (method !== 'NodeWorker.receivedMessageFromWorker') return;
    if (params.sessionId !== session.id) return;
    const { id, result, error } = JSON.parse(params.message);
    if (id !== WORKER_REQUEST_ID) return;
    const fault = error ?? result.exceptionDetails?.exception;
    if (fault === undefined) resolve(result.result.value);
    else reject(new Error(`in a worker: ${fault.message ?? fault.description}`));
  };
  inspector.on('message', listen);
  try {
    await send(inspector, session, expression);
    return await promise;
  } finally {
    clearTimeout(timer);
    session.ended.removeEventListener('abort', end);
    inspector.off('message', listen);
  }
}

async function connect(edge: Inspectable): Promise<WebSocket> {
  const address = edge.output.find((line) => line.includes('Debugger listening on'));
  const url = address?.match(/ws:\/\/\S+/)?.[0];
  if (url === undefined) throw new Error('the edge was not started with INSPECTABLE');
  const inspector = new WebSocket(url);
  await new Promise((resolve, reject) => {
    inspector.once('open', resolve);
    inspector.once('error', reject);
  });
  return inspector;
}

function ask(inspector: WebSocket, method: string, params: object = {}): Promise<unknown> {
  const id = Math.floor(Math.random() * 2 ** 31);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_DEADLINE_MS);
    inspector.on('message', function listen(data) {
      const message = JSON.parse(String(data));
      if (message.id !== id) return;
      clearTimeout(timer);
      inspector.off('message', listen);
      if (message.error === undefined) resolve(message.result);
      else reject(new Error(`${method}: ${message.error.message}`));
    });
    inspector.send(JSON.stringify({ id, method, params }));
  });
}
