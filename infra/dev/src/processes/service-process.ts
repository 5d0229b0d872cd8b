import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Metrics, parseMetrics } from './metrics-text.ts';
import { type OwnedProcess, startProcess } from './owned-process.ts';

/** The workspace's root folder, with a slash at its end. */
export const WORKSPACE_ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** The Node that runs TypeScript as written; the one on the PATH may be older. */
export const WORKSPACE_NODE = `${WORKSPACE_ROOT}node_modules/.bin/node`;

/** How long a service may take to listen, in ms; it needs less than 1,000 on an idle machine. */
const LISTENING_DEADLINE_MS = 20_000;

/** How long an admin page may take to answer, in ms. */
const ADMIN_DEADLINE_MS = 5_000;

/** The variables of our own environment that a service may see: a stray REDIS_URL is not one. */
const INHERITED_VARIABLES = ['PATH', 'HOME', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE'];

export type ServiceName = 'edge' | 'ingest' | 'console';

/** The flags with which a service's unit starts Node (`infra/systemd`, whose tests hold it to this table). */
export const NODE_FLAGS: Readonly<Record<ServiceName, readonly string[]>> = {
  edge: ['--max-semi-space-size=16'],
  ingest: [],
  // So that V8 collects before the unit's MemoryMax of 512 MiB: what it holds of 100 nodes is 45 MiB.
  console: ['--max-old-space-size=256'],
};

/** A running service, started as in production. */
export interface ServiceProcess extends OwnedProcess {
  /** Where it serves, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly adminPort: number;
  /** Reads its `/metrics`. Rejects when the admin port does not answer within 5 s. */
  metrics(): Promise<Metrics>;
}

/**
 * Starts `services/<service>/src/main.ts` and resolves when it logs that it listens. Without `PORT` and `ADMIN_PORT` in `env`
 * it gets free ports of 127.0.0.1. If it does not start, it is ended, and the promise rejects with the end of its log.
 *
 * @param root the root folder of the workspace whose service it is: ours, or another that is installed.
 */
export async function startService(
  service: ServiceName,
  env: Readonly<Record<string, string>>,
  root = WORKSPACE_ROOT,
): Promise<ServiceProcess> {
  const owned = await startProcess({
    name: service,
    command: join(root, 'node_modules/.bin/node'),
    args: [...NODE_FLAGS[service], `services/${service}/src/main.ts`],
    env: { ...inheritedVariables(), HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', ...env },
    cwd: root,
  });
  try {
    const { port, adminPort } = await owned.waitForLine(readListening, LISTENING_DEADLINE_MS);
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    return {
      ...owned,
      url: `http://127.0.0.1:${port}`,
      adminUrl,
      port,
      adminPort,
      async metrics() {
        const signal = AbortSignal.timeout(ADMIN_DEADLINE_MS);
        const response = await fetch(`${adminUrl}/metrics`, { signal });
        if (!response.ok) throw new Error(`${adminUrl}/metrics answered ${response.status}`);
        return parseMetrics(await response.text());
      },
    };
  } catch (error) {
    await owned.stop(0);
    throw error;
  }
}

interface Listening {
  readonly port: number;
  readonly adminPort: number;
}

function readListening(line: string): Listening | undefined {
  if (!line.includes('"listening"')) return undefined;
  try {
    const { msg, port, adminPort } = JSON.parse(line) as Record<string, unknown>;
    if (msg !== 'listening' || typeof port !== 'number' || typeof adminPort !== 'number') {
      return undefined;
    }
    return { port, adminPort };
  } catch {
    return undefined;
  }
}

function inheritedVariables(): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const name of INHERITED_VARIABLES) {
    const value = process.env[name];
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}
