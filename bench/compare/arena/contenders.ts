import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OwnedProcess, startProcess, WORKSPACE_ROOT } from '@tradewind/dev';
import { BINARY_SUBPROTOCOL } from '@tradewind/protocol';
import { eventually } from '../../../test/support/suite/wait.ts';
import type { DialectChoice } from '../../load/wire/dialect.ts';
import { onServerCore } from './cores.ts';

export const CONTENDER_NAMES = [
  ...(['edge', 'edge.v2', 'ws-per-client', 'ws-shared', 'socket.io', 'bun'] as const),
] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

/** The edge of another checkout of this project; the text after the `@` is its root folder. */
export type CheckoutName = `edge@${string}`;

/** Bun, as npm installs it. */
export const BUN = `${WORKSPACE_ROOT}bench/node_modules/.bin/bun`;

/** How long a contender may take to listen, in ms. */
const LISTENING_DEADLINE_MS = 20_000;

/** How long an edge may take to link to Redis, in ms. */
const READY_DEADLINE_MS = 10_000;

/** A server under test. */
export interface Contender {
  readonly name: ContenderName | CheckoutName;
  /** The root of the checkout that it belongs to: the folder in which the command runs. */
  readonly root: string;
  /** The command and its arguments, as one types them. */
  readonly command: readonly string[];
  readonly dialect: DialectChoice;
  /** The path that clients connect to. */
  readonly path: string;
  /** Whether each client's `seq` counts its own publications, so that a hole in it is a loss. */
  readonly numbersPerClient: boolean;
  /** Its environment, without the URL of Redis. */
  readonly environment: Readonly<Record<string, string>>;
}

const FOLDER = 'bench/compare/contenders';

/** What starts an edge in each checkout: its own Node and its own entry point. */
export const CHECKOUT_NODE = 'node_modules/.bin/node';
export const CHECKOUT_EDGE = 'services/edge/src/main.ts';

/** The unit that starts an edge on machines, in each checkout. */
const CHECKOUT_UNIT = 'infra/systemd/tradewind-edge.service';

/** The C library's settings in infra/systemd/tradewind-edge.service, which make it return memory. */
export const ALLOCATOR_SETTINGS = {
  MALLOC_MMAP_THRESHOLD_: '16384',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** The environment of the edge's unit, without limits that do not concern speed. */
const EDGE_ENVIRONMENT = {
  ...ALLOCATOR_SETTINGS,
  PORT: '0',
  ADMIN_PORT: '0',
  EDGE_WORKERS: '1',
  LOG_LEVEL: 'info',
  DRAIN_SECONDS: '3',
  DRAIN_ACCEPT_SECONDS: '0',
};

function withNode(
  name: Contender['name'],
  program: string,
  numbersPerClient: boolean,
  { root = WORKSPACE_ROOT, flags = [] as readonly string[] } = {},
): Contender {
  return {
    name,
    root,
    command: [join(root, CHECKOUT_NODE), ...flags, program],
    dialect: { kind: 'tradewind' },
    path: '/ws',
    numbersPerClient,
    environment: { PORT: '0' },
  };
}

/** An edge of any checkout: the same environment, and the Node flags of that checkout's own unit. */
function edgeOf(name: Contender['name'], root: string): Contender {
  const flags = nodeFlags(readFileSync(join(root, CHECKOUT_UNIT), 'utf8'));
  return {
    ...withNode(name, CHECKOUT_EDGE, true, { root, flags }),
    environment: EDGE_ENVIRONMENT,
  };
}

/** Returns the flags between Node and the program in a unit's start line. */
function nodeFlags(unit: string): readonly string[] {
  const [, ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  return args.slice(0, -1);
}

const CONTENDERS: Readonly<Record<ContenderName, Contender>> = {
  edge: edgeOf('edge', WORKSPACE_ROOT),
  'edge.v2': {
    ...edgeOf('edge.v2', WORKSPACE_ROOT),
    dialect: { kind: 'tradewind', subprotocol: BINARY_SUBPROTOCOL },
  },
  'ws-per-client': withNode('ws-per-client', `${FOLDER}/ws-per-client.ts`, true),
  'ws-shared': withNode('ws-shared', `${FOLDER}/ws-shared.ts`, false),
  'socket.io': {
    ...withNode('socket.io', `${FOLDER}/socket-io.ts`, false),
    dialect: { kind: 'socket.io' },
    path: '/socket.io/?EIO=4&transport=websocket',
  },
  bun: {
    ...withNode('bun', `${FOLDER}/bun-publish.ts`, false),
    command: [BUN, `${FOLDER}/bun-publish.ts`],
  },
};

export function contenderOf(name: Contender['name']): Contender {
  return isCheckout(name) ? edgeOf(name, rootOf(name)) : CONTENDERS[name];
}

export function isCheckout(name: string): name is CheckoutName {
  return name.startsWith('edge@');
}

export function rootOf(name: CheckoutName): string {
  return name.slice('edge@'.length);
}

/** A contender that listens. Its owner ends it. */
export interface RunningContender extends OwnedProcess {
  readonly url: string;
  /** The edge's admin port; undefined for the others. */
  readonly adminUrl: string | undefined;
}

/**
 * Starts a contender on the server's core and resolves once it listens.
 *
 * @param settings additional environment variables, e.g. `EDGE_WORKERS`.
 */
export async function startContender(
  contender: Contender,
  redisUrl: string,
  settings: Readonly<Record<string, string>>,
): Promise<RunningContender> {
  const [command, ...args] = onServerCore(contender.command) as [string, ...string[]];
  const owned = await startProcess({
    name: contender.name,
    command,
    args,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      REDIS_URL: redisUrl,
      ...contender.environment,
      ...settings,
    },
    cwd: contender.root,
  });
  try {
    const { port, adminPort } = await owned.waitForLine(readPorts, LISTENING_DEADLINE_MS);
    const adminUrl = adminPort === 0 ? undefined : `http://127.0.0.1:${adminPort}`;
    if (adminUrl !== undefined) {
      await eventually(async () => (await fetch(`${adminUrl}/readyz`)).ok, {
        deadlineMs: READY_DEADLINE_MS,
      });
    }
    return { ...owned, url: `ws://127.0.0.1:${port}${contender.path}`, adminUrl };
  } catch (error) {
    await owned.stop(0);
    throw error;
  }
}

function readPorts(line: string): { port: number; adminPort: number } | undefined {
  if (!line.includes('"msg":"listening"')) return undefined;
  const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
  return { port, adminPort };
}
