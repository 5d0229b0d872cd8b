import {
  findFreePort,
  type OwnedProcess,
  startProcess,
  WORKSPACE_NODE,
  WORKSPACE_ROOT,
} from '@tradewind/dev';

/** The variables that set the ports of `npm start`. */
const PORTS = [
  'START_EDGE_1_PORT',
  'START_EDGE_1_ADMIN_PORT',
  'START_EDGE_2_PORT',
  'START_EDGE_2_ADMIN_PORT',
  'START_INGEST_PORT',
  'START_INGEST_ADMIN_PORT',
  'START_CONSOLE_PORT',
  'START_CONSOLE_ADMIN_PORT',
  'START_DEMO_PORT',
] as const;

/** Time for all services to start on a machine with other work, in ms. */
const START_DEADLINE_MS = 60_000;

/** Variables with which `npm start` takes no port that anybody else has. */
export async function freeStartPorts(): Promise<Record<(typeof PORTS)[number], string>> {
  const ports = new Set<number>();
  while (ports.size < PORTS.length) ports.add(await findFreePort());
  const values = [...ports].map(String);
  return Object.fromEntries(PORTS.map((name, at) => [name, values[at]])) as Record<
    (typeof PORTS)[number],
    string
  >;
}

/** A running `npm start` with a page. The caller owns it. */
export interface NpmStart extends OwnedProcess {
  readonly demoUrl: string;
  /** Where people who open the address of the first edge arrive. */
  readonly edgeUrl: string;
}

/** Runs `npm start` on ports of its own, over the given Redis or one that it starts. */
export async function npmStart(redisUrl: string | undefined): Promise<NpmStart> {
  const ports = await freeStartPorts();
  const { REDIS_URL: _, ...rest } = process.env;
  const owned = await startProcess({
    name: 'npm start',
    command: WORKSPACE_NODE,
    args: ['infra/dev/src/start.ts'],
    env: { ...rest, ...ports, ...(redisUrl !== undefined && { REDIS_URL: redisUrl }) },
    cwd: WORKSPACE_ROOT,
  });
  try {
    const demoUrl = await owned.waitForLine(
      (line) => /^The demo is at (\S+)$/.exec(line)?.[1],
      START_DEADLINE_MS,
    );
    return { ...owned, demoUrl, edgeUrl: `http://127.0.0.1:${ports.START_EDGE_1_PORT}` };
  } catch (error) {
    await owned.stop();
    throw error;
  }
}
