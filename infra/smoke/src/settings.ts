import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

export const SMOKE_USAGE = `npm run smoke -- wss://HOST/ws… --ingest https://HOST [OPTIONS]

Runs against a real deployment, in about two minutes, and prints what it confirms. Name the balancer; where there is none,
name every edge, and connections take them in turn.

  --token-file FILE       holds a bearer token of ingest
  --client-token-file FILE  holds a token of a client (a JWT) that may read smoke.*, for edges with EDGE_AUTH=jwt
  --origin ORIGIN         what clients say which page they are of, for edges with EDGE_ORIGINS (nothing)
  --ca-file FILE          PEM certificates to trust instead of the system's
  --idle-seconds N        how long a connection stays idle: longer than any idle timeout on the way (90)
  --nodes N               nodes that clients must be spread over (one for each URL)
  --wait-for-drain N      seconds to wait for a node to be drained by hand, e.g. by npm run roll (0: not at all)`;

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface SmokeSettings {
  /** The URL of the balancer, or those of all edges. Connections take them in turn. */
  readonly webSocketUrls: readonly [URL, ...URL[]];
  /** The URL of ingest, without a slash at its end. */
  readonly ingestUrl: string;
  readonly token: string | undefined;
  /** The token of clients. Undefined: they have none. */
  readonly clientToken: string | undefined;
  /** The `Origin` of clients. Undefined: they send none. */
  readonly origin: string | undefined;
  readonly certificateAuthority: string | undefined;
  readonly idleSeconds: number;
  readonly nodes: number;
  /** 0: the check is skipped. */
  readonly drainSeconds: number;
}

const OPTIONS = {
  ingest: { type: 'string' },
  'token-file': { type: 'string' },
  'client-token-file': { type: 'string' },
  origin: { type: 'string' },
  'ca-file': { type: 'string' },
  'idle-seconds': { type: 'string', default: '90' },
  nodes: { type: 'string' },
  'wait-for-drain': { type: 'string', default: '0' },
} as const;

/**
 * Reads the command line.
 *
 * @throws UsageError if it is wrong.
 */
export function readSmokeSettings(args: readonly string[]): SmokeSettings {
  const { values, positionals } = parse(args);
  const [first, ...others] = positionals.map((text) => readUrl(text, ['ws:', 'wss:']));
  if (first === undefined) throw new UsageError('name a WebSocket URL');
  return {
    webSocketUrls: [first, ...others],
    ingestUrl: readUrl(values.ingest ?? '', ['http:', 'https:']).href.replace(/\/$/, ''),
    token: readFile('token-file', values['token-file'])?.trim(),
    clientToken: readFile('client-token-file', values['client-token-file'])?.trim(),
    origin: values.origin,
    certificateAuthority: readFile('ca-file', values['ca-file']),
    idleSeconds: readInteger('idle-seconds', values['idle-seconds'], 0, 3_600),
    nodes: readInteger('nodes', values.nodes ?? String(positionals.length), 1, 1_000),
    drainSeconds: readInteger('wait-for-drain', values['wait-for-drain'], 0, 3_600),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readUrl(text: string, protocols: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && protocols.includes(url.protocol)) return url;
  throw new UsageError(`${JSON.stringify(text)} is not a ${protocols.join('// or ')}// URL`);
}

function readInteger(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be an integer from ${min} to ${max}`);
}

function readFile(name: string, path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--${name}: ${(error as Error).message}`);
  }
}
