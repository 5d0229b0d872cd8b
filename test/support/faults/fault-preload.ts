/**
 * A setting that makes a service run `code` before itself, in each of its threads. A test changes a process by it, and
 * the product needs no code for tests.
 */
export function preloaded(code: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

/** Limits the files that a process may open. Every Linux has `prlimit`. */
export function withDescriptors(most: number): string {
  return `
    import { execFileSync } from 'node:child_process';
    import { isMainThread } from 'node:worker_threads';
    if (isMainThread) execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=${most}:${most}']);
  `;
}

/** Hides from a process how many files it may open. */
export const HIDDEN_DESCRIPTOR_LIMIT = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { readFileSync } = fs;
  fs.readFileSync = (path, ...rest) => {
    if (path === '/proc/self/limits') throw new Error('hidden');
    return readFileSync(path, ...rest);
  };
  syncBuiltinESMExports();
`;

/** Makes a server refuse further connections instead of closing those that wait. */
export const NO_CONNECTION_LEAVES = `
  import { PlainConnections } from '${new URL('../../../packages/runtime/src/http/plain-connections.ts', import.meta.url)}';
  const most = Number(process.env.HTTP_MAX_CONNECTIONS);
  const { add } = PlainConnections.prototype;
  if (add === undefined) throw new Error('PlainConnections has no method add: the fault would not be there');
  let open = 0;
  PlainConnections.prototype.add = function (socket) {
    if (open >= most) return socket;
    open += 1;
    socket.once('close', () => { open -= 1; });
    return add.call(this, socket);
  };
`;

/** Makes a server keep connections open after an answer, and so read a body that nobody requested. */
export const REFUSED_BODIES_ARE_READ = `
  import { ServerResponse } from 'node:http';
  const { writeHead } = ServerResponse.prototype;
  ServerResponse.prototype.writeHead = function (status, { connection, ...headers }) {
    return writeHead.call(this, status, headers);
  };
`;
