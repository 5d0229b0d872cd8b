import { BlockList, isIP } from 'node:net';
import { checkRedisUrl } from '@tradewind/bus';
import {
  type EnvironmentReader,
  isLoopback,
  readServiceSettings,
  type ServiceSettings,
  type UnknownVariable,
} from '@tradewind/runtime';

/** The settings of the console. */
export interface ConsoleConfig {
  readonly service: ServiceSettings;
  /** `CONSOLE_TOKEN_FILE`: what an operator logs in with. Undefined: anyone on this machine may look, and no one may act. */
  readonly token: string | undefined;
  /** `CONSOLE_HOSTS`: further names under which browsers reach it, besides those of the loopback, in lower case. */
  readonly hosts: readonly string[];
  /** `CONSOLE_EDGE_URLS`: where edges serve clients, for tapes. Empty: there are no tapes. */
  readonly edgeUrls: readonly string[];
  /** `CONSOLE_EDGE_TOKEN_FILE`: the file of the token that edges want of clients. It is read for each connection. */
  readonly edgeTokenFile: string | undefined;
  /** `CONSOLE_INGEST_URL`: where a subject's connections are ended. Undefined: the console cannot end them. */
  readonly ingestUrl: string | undefined;
  /** `CONSOLE_INGEST_TOKEN_FILE`: a token of ingest with the right `revoke`. */
  readonly ingestToken: string | undefined;
  /** `CONSOLE_ADMIN_TOKEN_FILE`: the `ADMIN_TOKEN` of the nodes, for actions. */
  readonly nodesToken: string | undefined;
  /**
   * `CONSOLE_NODE_NETWORKS`: where nodes' admin ports may be. Nodes publish their addresses in Redis, and
   * another writer there must not be able to have the token sent to itself.
   */
  readonly nodeNetworks: BlockList;
  readonly unknownVariables: readonly UnknownVariable[];
}

const HOST_NAME = {
  pattern: /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])$/,
  description: 'a host name in lower case, without a port',
};

const EDGE_URL = {
  pattern: /^wss?:\/\/[^\s?#]+$/,
  description: 'an URL such as wss://stream.example.com/ws',
};

const INGEST_URL = {
  pattern: /^https?:\/\/[^\s?#/]+\/?$/,
  description: 'an URL such as http://10.0.0.5:8081',
};

/** Where the nodes of one machine are. */
const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128'];

/** The least length of a token that opens actions, in characters: 128 bits in base64. */
const MIN_TOKEN_CHARACTERS = 22;

/** Reads the settings of the console; mistakes are collected by `environment`. */
export function readConsoleConfig(environment: EnvironmentReader): ConsoleConfig {
  const service = readServiceSettings(environment, {
    defaultPort: 8_090,
    defaultAdminPort: 9_091,
    redisUrlFault: checkRedisUrl,
  });
  const token = environment.fileContents('CONSOLE_TOKEN_FILE')?.trim();
  if (token !== undefined && token.length < MIN_TOKEN_CHARACTERS) {
    environment.reject(
      'CONSOLE_TOKEN_FILE',
      `must hold a token of at least ${MIN_TOKEN_CHARACTERS} characters`,
    );
  }
  if (token === undefined && !isLoopback(service.host)) {
    environment.reject(
      'CONSOLE_TOKEN_FILE',
      `must be set when HOST (${JSON.stringify(service.host)}) is not loopback`,
    );
  }
  return {
    service,
    token,
    hosts: environment.list('CONSOLE_HOSTS', { default: [], allowed: HOST_NAME }),
    edgeUrls: environment.list('CONSOLE_EDGE_URLS', { default: [], allowed: EDGE_URL }),
    edgeTokenFile: environment.optionalString('CONSOLE_EDGE_TOKEN_FILE'),
    ingestUrl: environment.optionalString('CONSOLE_INGEST_URL', { allowed: INGEST_URL }),
    ingestToken: environment.fileContents('CONSOLE_INGEST_TOKEN_FILE')?.trim(),
    nodeNetworks: readNetworks(environment),
    nodesToken: environment.fileContents('CONSOLE_ADMIN_TOKEN_FILE')?.trim(),
    unknownVariables: environment.unknown(['CONSOLE_', 'REDIS_']),
  };
}

function readNetworks(environment: EnvironmentReader): BlockList {
  const networks = new BlockList();
  for (const text of environment.list('CONSOLE_NODE_NETWORKS', { default: LOOPBACK_NETWORKS })) {
    const [address = '', bits = ''] = text.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) {
      const message = `${JSON.stringify(text)} must be a network such as 10.0.0.0/8`;
      environment.reject('CONSOLE_NODE_NETWORKS', message);
    } else {
      networks.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
    }
  }
  return networks;
}
