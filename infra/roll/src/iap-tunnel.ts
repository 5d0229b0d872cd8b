import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How long gcloud may take to open a tunnel, in ms: it takes 2 s, and many open at once. */
const OPEN_DEADLINE_MS = 60_000;

/** How long a tunnel may take to end after SIGTERM, in ms, before it is killed. */
const END_GRACE_MS = 2_000;

/** The latest lines of gcloud's output that are kept for an error message. */
const MAX_LINES = 20;

/** gcloud prints this once it holds the port. Another process may have taken the port that it "picks" earlier. */
const LISTENING = /^Listening on port \[(\d+)\]/;

/** A TCP tunnel to one port of one machine: a gcloud process that ends with ours. */
export interface IapTunnel {
  /** The port on localhost. Rejects with gcloud's reason if there is no way. */
  readonly port: Promise<number>;
  /** Settles after it has ended, by itself or by `end`. Never rejects. */
  readonly ended: Promise<void>;
  end(): Promise<void>;
}

/** Opens a tunnel. The caller ends it. */
export function openIapTunnel(options: {
  readonly instance: string;
  readonly port: number;
  readonly zone: string;
  readonly project: string | undefined;
}): IapTunnel {
  const { instance, port, zone, project } = options;
  const args = [
    ...['--quiet', 'compute', 'start-iap-tunnel', instance, String(port), `--zone=${zone}`],
    ...(project === undefined ? [] : [`--project=${project}`]),
    '--local-host-port=localhost:0',
  ];
  const child = spawn('gcloud', args, {
    // Otherwise Python buffers the line with the port, because it does not write to a terminal.
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group, because gcloud may be a script around the process that opens the tunnel.
    detached: true,
  });
  const watch = endWithUs(child);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  void ended.then(watch);

  async function end(): Promise<void> {
    signalGroup(child, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), END_GRACE_MS);
    await ended;
    clearTimeout(timer);
  }

  return { port: readPort(child, instance), ended, end };
}

/** Resolves with the port that gcloud reports. */
function readPort(child: ChildProcess, instance: string): Promise<number> {
  const lines: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const fail = (why: string): void => {
    const said = lines.findLast((line) => line.startsWith('ERROR')) ?? lines.at(-1) ?? '';
    reject(new Error(`no tunnel to ${instance}: ${why}${said === '' ? '' : ` (${said})`}`));
  };
  const timer = setTimeout(() => fail(`not within ${OPEN_DEADLINE_MS} ms`), OPEN_DEADLINE_MS);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      const [, port] = LISTENING.exec(line) ?? [];
      if (port !== undefined) resolve(Number(port));
      if (line.trim() !== '') lines.push(line.trim());
      if (lines.length > MAX_LINES) lines.shift();
    });
  }
  child.once('error', (error) => fail(error.message));
  child.once('close', (code, signal) => fail(`gcloud ended with ${signal ?? code}`));
  const settled = (): void => clearTimeout(timer);
  promise.then(settled, settled);
  return promise;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

/**
 * Ends the tunnel if this process dies, for whatever reason: a shell waits for the end of a pipe that only this process
 * holds open. Returns a function that cancels it.
 */
function endWithUs(child: ChildProcess): () => void {
  if (child.pid === undefined) return () => {};
  const script = 'read -r _; kill -- -"$1" 2>/dev/null';
  const shell = spawn('sh', ['-c', script, 'sh', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return () => {
    shell.kill('SIGKILL');
    shell.stdin.destroy();
  };
}
