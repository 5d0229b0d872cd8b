import type { Redis } from 'ioredis';
import { describeError } from '../redis-errors.ts';

/** What a server says that it is. */
export interface ServerVersion {
  /** `redis` or `valkey`. */
  readonly server: string;
  /** Such as `7.0.15`. */
  readonly version: string;
}

/** What a server answers to a greeting. */
export interface ServerGreeting extends ServerVersion {
  /** `standalone`, `cluster` or `sentinel`; undefined if it does not say. */
  readonly mode?: string | undefined;
}

/** A fault of the server's Lua that its version does not mend. */
export interface UnmendedFault extends ServerVersion {
  readonly fault: string;
  /** The version of the same line, or else the lowest one, that mends it upstream. */
  readonly mendedBy: string;
}

/** Functions, selectors of an ACL, and the check of a right inside a script came with it. Every Valkey has them. */
const FLOOR: Line = [7, 0];

/** Whoever may send a script can run code on the server. */
const LUA_FAULT = 'CVE-2025-49844';

/** For each line, the first patch level that mends the fault upstream. Lines after the last one have it from the start. */
const LUA_MENDED: Readonly<Record<string, readonly MendedLine[]>> = {
  redis: [
    { line: [7, 2], patch: 11 },
    { line: [7, 4], patch: 6 },
    { line: [8, 0], patch: 4 },
    { line: [8, 2], patch: 2 },
  ],
  valkey: [
    { line: [7, 2], patch: 11 },
    { line: [8, 0], patch: 6 },
    { line: [8, 1], patch: 4 },
  ],
};

type Line = readonly [major: number, minor: number];

interface MendedLine {
  readonly line: Line;
  readonly patch: number;
}

/**
 * Remembers what the server of each connection says about itself. ioredis greets with HELLO by itself and shows nobody the
 * answer; every user may send it, whatever its ACL says.
 */
export class Greeting {
  #version: ServerGreeting | undefined;

  /** @param redis must not be connected yet. */
  constructor(redis: Redis) {
    const hello = redis.hello.bind(redis) as (...args: unknown[]) => Promise<unknown>;
    const heard = (...args: unknown[]): Promise<unknown> => {
      this.#version = undefined;
      const reply = hello(...args);
      reply.then(
        (answer) => {
          this.#version = readGreeting(answer);
        },
        (error: unknown) => {
          if (/^ERR unknown command/.test(describeError(error)))
            this.#version = { server: 'redis', version: '5 or older' };
        },
      );
      return reply;
    };
    Object.defineProperty(redis, 'hello', { value: heard });
  }

  /** The server of the present connection; undefined if it does not say, or before it has said. */
  get version(): ServerGreeting | undefined {
    return this.#version;
  }
}

/** Reads the answer to HELLO, whose fields come as a map, as an object, or as a flat list. */
export function readGreeting(answer: unknown): ServerGreeting | undefined {
  const fields = new Map<string, unknown>(pairsOf(answer));
  const [server, version, mode] = ['server', 'version', 'mode'].map((name) =>
    textOf(fields.get(name)),
  );
  return server === undefined || version === undefined ? undefined : { server, version, mode };
}

/** Returns why the server is too old to be used, as a sentence; undefined if it is not, or does not say. */
export function versionFault(version: ServerVersion | undefined): string | undefined {
  const line = version === undefined ? undefined : lineOf(version.version);
  if (version === undefined || line === undefined || !isBefore(line, FLOOR)) return undefined;
  return `it is ${version.server} ${version.version}, and Tradewind needs ${FLOOR.join('.')} or later`;
}

/**
 * Returns why the server cannot be what `REDIS_MODE` says, as a sentence; undefined if it can be, or does not say. A node of a
 * cluster answers one that takes it for a Redis of its own, and refuses all channels whose slots other nodes have.
 *
 * @param isClusterNode whether it was asked as a node of a cluster.
 */
export function modeFault(
  greeting: ServerGreeting | undefined,
  isClusterNode: boolean,
): string | undefined {
  if (greeting?.mode === 'sentinel')
    return "it is a Sentinel: set REDIS_MODE=sentinel, and put the master's name behind a slash";
  if (greeting?.mode === 'cluster' && !isClusterNode)
    return 'it is a node of a Redis Cluster: set REDIS_MODE=cluster';
  return undefined;
}

/**
 * Returns the fault of the server's Lua that its version does not mend; undefined if it mends it, or does not say.
 * Distributions mend such faults without changing the version, so it is a reason to look, and none to refuse.
 */
export function unmendedFault(version: ServerVersion | undefined): UnmendedFault | undefined {
  const lines = version === undefined ? undefined : LUA_MENDED[version.server];
  const line = version === undefined ? undefined : lineOf(version.version);
  if (version === undefined || line === undefined || lines === undefined) return undefined;
  const known = lines.find((each) => !isBefore(each.line, line));
  if (known === undefined) return undefined;
  const isSameLine = !isBefore(line, known.line);
  const patch = Number(version.version.split('.')[2]);
  if (isSameLine && patch >= known.patch) return undefined;
  const { server } = version;
  return {
    server,
    version: version.version,
    fault: LUA_FAULT,
    mendedBy: [...known.line, known.patch].join('.'),
  };
}

function lineOf(version: string): Line | undefined {
  const [, major, minor = '0'] = /^(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor)];
}

function isBefore([major, minor]: Line, [otherMajor, otherMinor]: Line): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

function pairsOf(answer: unknown): Iterable<[string, unknown]> {
  if (answer instanceof Map) return answer as Map<string, unknown>;
  if (!Array.isArray(answer)) return Object.entries((answer ?? {}) as object);
  const list = answer as readonly unknown[];
  return list.flatMap((each, index) =>
    index % 2 === 0 ? [[String(each), list[index + 1]] as [string, unknown]] : [],
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? String(value) : undefined;
}
