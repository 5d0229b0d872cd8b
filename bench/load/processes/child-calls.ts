import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WORKSPACE_NODE } from '@tradewind/dev';

/** The calls that a child process answers: for each method its argument and its result. */
export type CallTable = Record<string, { readonly argument: unknown; readonly result: unknown }>;

/** The child's side: one function for each method. An error that it throws rejects the call. */
export type CallHandlers<Table extends CallTable> = {
  readonly [Method in keyof Table]: (
    argument: Table[Method]['argument'],
  ) => Table[Method]['result'] | Promise<Table[Method]['result']>;
};

/** A child process that answers calls. It ends if its parent ends, for whatever reason. */
export interface CalledChild<Table extends CallTable> extends AsyncDisposable {
  readonly pid: number;
  /** Rejects if the child fails, or ends before it answers. */
  call<Method extends keyof Table & string>(
    method: Method,
    argument: Table[Method]['argument'],
  ): Promise<Table[Method]['result']>;
  /** Kills it and resolves after it has ended. */
  stop(): Promise<void>;
}

interface Request {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure };

/** An error of a child. */
interface Failure {
  readonly message: string;
  /** The stack in the child. */
  readonly stack: string | undefined;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts a script that calls {@link serveCalls}. Its output goes to our stderr.
 *
 * @param script a `file:` URL of a TypeScript file.
 * @param core the CPU core to pin it to (by `taskset`), or undefined for any.
 */
export async function startCalledChild<Table extends CallTable>(
  script: URL,
  core: number | undefined,
): Promise<CalledChild<Table>> {
  const node = [WORKSPACE_NODE, script.pathname];
  const [command, ...args] = core === undefined ? node : ['taskset', '-c', String(core), ...node];
  const child = spawn(command as string, args, {
    stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    serialization: 'advanced',
    // A process group of its own: Ctrl-C reaches only the owner, who decides the order of ending.
    detached: true,
  });
  await once(child, 'spawn');
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let ended: Error | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = new Error(`${script.pathname} ended with ${signal ?? `exit code ${code}`}`);
      for (const { reject } of waiting.values()) reject(ended);
      waiting.clear();
      resolve();
    });
  });
  child.on('error', () => {});
  child.on('message', (message) => {
    const answer = message as Answer;
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('failure' in answer) asked?.reject(errorOf(answer.failure));
    else asked?.resolve(answer.result);
  });

  async function stop(): Promise<void> {
    if (ended === undefined) child.kill('SIGKILL');
    await exited;
  }

  return {
    pid: child.pid!,
    call(method, argument) {
      return new Promise((resolve, reject) => {
        if (ended !== undefined) {
          reject(ended);
          return;
        }
        lastId += 1;
        waiting.set(lastId, { resolve: resolve as (result: unknown) => void, reject });
        child.send({ id: lastId, method, argument } satisfies Request);
      });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Answers the parent's calls until the parent ends, then ends this process. */
export function serveCalls<Table extends CallTable>(handlers: CallHandlers<Table>): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    const { id, method, argument } = message as Request;
    const handler = handlers[method];
    answer(handler, method, argument).then(
      (result) => process.send?.({ id, result } satisfies Answer),
      (error: unknown) => {
        const { message, stack } = error instanceof Error ? error : new Error(String(error));
        process.send?.({ id, failure: { message, stack } } satisfies Answer);
      },
    );
  });
}

function errorOf({ message, stack }: Failure): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

async function answer(
  handler: ((argument: unknown) => unknown) | undefined,
  method: string,
  argument: unknown,
): Promise<unknown> {
  if (handler === undefined) throw new Error(`no such method: ${method}`);
  return await handler(argument);
}
