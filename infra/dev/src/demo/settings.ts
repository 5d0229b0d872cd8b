import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** The variables that set ports, and the default of each. */
const DEFAULT_PORTS = {
  START_EDGE_1_PORT: 8080,
  START_EDGE_1_ADMIN_PORT: 9080,
  START_EDGE_2_PORT: 8082,
  START_EDGE_2_ADMIN_PORT: 9082,
  START_INGEST_PORT: 8081,
  START_INGEST_ADMIN_PORT: 9081,
  START_CONSOLE_PORT: 8090,
  START_CONSOLE_ADMIN_PORT: 9091,
  START_DEMO_PORT: 8070,
} as const;

/** The name of the environment variable that moves a port. */
export type PortSetting = keyof typeof DEFAULT_PORTS;

/** Longest run of `--seconds`, in s: a day. */
const MAX_SECONDS = 86_400;

/** Fastest replay. */
const MAX_SPEED = 1_000;

export interface StartSettings {
  /** How long to run, in s; undefined until Ctrl-C. */
  readonly seconds: number | undefined;
  /** The absolute path of a file to replay, and how many times as fast as its own pace. */
  readonly replay: { readonly file: string; readonly speed: number } | undefined;
  readonly ports: Readonly<Record<PortSetting, number>>;
}

/** A mistake in the command line. Only its message must be shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Reads arguments and environment. Throws a {@link UsageError} that names all mistakes, one a line. */
export function readStartSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): StartSettings {
  const mistakes: string[] = [];
  const { seconds, replay, speed } = parse(args, mistakes);
  if (speed !== undefined && replay === undefined) mistakes.push('--speed is for --replay FILE');
  const settings: StartSettings = {
    seconds:
      seconds === undefined ? undefined : positive('--seconds', seconds, MAX_SECONDS, mistakes),
    replay:
      replay === undefined
        ? undefined
        : {
            // npm runs its scripts in the root; INIT_CWD is the folder of the person who called it.
            file: resolve(env.INIT_CWD ?? '.', replay),
            speed: positive('--speed', speed ?? '1', MAX_SPEED, mistakes),
          },
    ports: readPorts(env, mistakes),
  };
  if (mistakes.length > 0) throw new UsageError(mistakes.join('\n'));
  return settings;
}

/** What the settings of services begin with. */
const SERVICE_SETTING = /^(?:EDGE|INGEST|CONSOLE|REDIS|WS)_/;

/** The one setting of services that `npm start` takes from its environment. */
const PASSED_ON = 'REDIS_URL';

/**
 * The settings of services in `env` that `npm start` does not pass on, in order; an empty one is not set. Passing them on would let a
 * setting that was meant for a tier elsewhere, such as the name of a node, break the demo.
 */
export function ignoredSettings(
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return Object.keys(env)
    .filter((name) => SERVICE_SETTING.test(name) && name !== PASSED_ON && env[name] !== '')
    .sort();
}

/** Parses a command line; every mistake is reported. */
interface Arguments {
  readonly seconds?: string;
  readonly replay?: string;
  readonly speed?: string;
}

function parse(args: readonly string[], mistakes: string[]): Arguments {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string' },
        replay: { type: 'string' },
        speed: { type: 'string' },
      },
    }).values;
  } catch (error) {
    mistakes.push((error as Error).message);
    return {};
  }
}

function positive(name: string, text: string, most: number, mistakes: string[]): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= most)) {
    mistakes.push(`${name} must be a number above 0, at most ${most}, not "${text}"`);
  }
  return value;
}

function readPorts(
  env: Readonly<Record<string, string | undefined>>,
  mistakes: string[],
): Record<PortSetting, number> {
  const ports: Record<PortSetting, number> = { ...DEFAULT_PORTS };
  const settings = Object.keys(ports) as PortSetting[];
  const wrong = new Set<PortSetting>();
  for (const setting of settings) {
    const text = env[setting];
    if (!text) continue;
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      mistakes.push(`${setting} must be a port from 1 to 65535, not "${text}"`);
      wrong.add(setting);
      continue;
    }
    ports[setting] = port;
  }
  const read = settings.filter((setting) => !wrong.has(setting));
  for (const [i, setting] of read.entries()) {
    const twin = read.slice(i + 1).find((other) => ports[other] === ports[setting]);
    if (twin) mistakes.push(`${setting} and ${twin} are both ${ports[setting]}`);
  }
  return ports;
}
