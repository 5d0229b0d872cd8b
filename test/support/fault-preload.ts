/**
 * A setting that has a service run `code` before itself, in each of its threads: what a test does to a
 * process without anything in the product that exists for tests.
 */
export function preloaded(code: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

/** Lets a process open so many files. `prlimit` belongs to every Linux. */
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

/** Has a server turn further connections away instead of closing those that wait. */
export const NO_CONNECTION_LEAVES = `
  import { PlainConnections } from '${new URL('../../packages/runtime/src/plain-connections.ts', import.meta.url)}';
  const most = Number(process.env.HTTP_MAX_CONNECTIONS);
  const { opened } = PlainConnections.prototype;
  let open = 0;
  PlainConnections.prototype.opened = function (socket) {
    if (open >= most) return socket;
    open += 1;
    socket.once('close', () => { open -= 1; });
    return opened.call(this, socket);
  };
`;

/** Has a server keep connections open behind an answer, and so read what nobody asked for. */
export const REFUSED_BODIES_ARE_READ = `
  import { ServerResponse } from 'node:http';
  const { writeHead } = ServerResponse.prototype;
  ServerResponse.prototype.writeHead = function (status, { connection, ...headers }) {
    return writeHead.call(this, status, headers);
  };
`;
