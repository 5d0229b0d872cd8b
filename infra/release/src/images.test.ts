import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REDIS_IMAGE, WORKSPACE_ROOT } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { RELEASED_SERVICES } from './services.ts';
import { readUnitFile, type UnitFile } from './unit-file.ts';

/** What the console asks of the token of its operators (docs/configuration.md). */
const MIN_LOGIN_CHARACTERS = 22;

/** As much of a Compose file as is looked at. */
interface ComposeFile {
  readonly networks: {
    readonly default: {
      readonly ipam: { readonly config: readonly { readonly subnet: string }[] };
    };
  };
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

interface ComposeService {
  readonly image: string;
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly args: Readonly<Record<string, string>>;
  };
  readonly init?: boolean;
  readonly stop_grace_period?: string;
  readonly healthcheck?: unknown;
  readonly environment?: Readonly<Record<string, string>>;
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly ports?: readonly string[];
}

const compose = parse(readFileSync(`${WORKSPACE_ROOT}infra/compose.yaml`, 'utf8'), {
  merge: true,
}) as ComposeFile;
const services = Object.entries(compose.services);

/** What the file holds that a variable of a service names. */
function fileOf(name: string, variable: string): string {
  const { environment = {}, configs = [] } = compose.services[name] ?? {};
  const source = configs.find(({ target }) => target === environment[variable])?.source ?? '';
  return compose.configs[source]?.content ?? '';
}

/** A text as Compose reads it where no variable is set. */
function withDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
}

/** A token as a file of tokens has it. */
function hashOf(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`;
}

describe('the Compose file', () => {
  it('holds the whole tier', () => {
    expect(services.map(([name]) => name).sort()).toEqual(
      ['console', 'edge-1', 'edge-2', 'grafana', 'ingest', 'prometheus', 'redis'].sort(),
    );
    expect(compose.services.redis?.image).toBe(REDIS_IMAGE);
  });

  it.each(services)(
    '%s ends orderly, tells its health, and is open to this machine only',
    (_name, service) => {
      expect(service.init).toBe(true);
      expect(service.stop_grace_period).toBe(`${stopSecondsOf(service)}s`);
      if (service.build === undefined) expect(service.healthcheck).toBeDefined();
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
      for (const other of Object.keys(service.depends_on ?? {})) {
        expect(compose.services).toHaveProperty(other);
      }
    },
  );

  it.each(services.filter(([, { build }]) => build !== undefined))(
    '%s is built from a release by a file that is there',
    (_name, { build, environment }) => {
      const path = join(WORKSPACE_ROOT, 'infra', build?.context ?? '', build?.dockerfile ?? '');
      expect(existsSync(path)).toBe(true);
      expect(build?.args.VERSION).toBe('${'.concat('TRADEWIND_VERSION}'));
      expect(environment?.ADMIN_TOKEN).toBeTruthy();
    },
  );

  it('publishes no port of the machine twice', () => {
    const ports = services.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':')[1]));
    expect(new Set(ports).size).toBe(ports.length);
  });

  it('gives the console a token to log in with, the token of the nodes, and no address but theirs to send it to', () => {
    const { environment = {} } = compose.services.console ?? {};
    const login = withDefaults(fileOf('console', 'CONSOLE_TOKEN_FILE'));
    expect(login.length).toBeGreaterThanOrEqual(MIN_LOGIN_CHARACTERS);
    expect(fileOf('console', 'CONSOLE_ADMIN_TOKEN_FILE')).toBe(
      compose.services['edge-1']?.environment?.ADMIN_TOKEN,
    );
    const [network] = compose.networks.default.ipam.config;
    expect(environment.CONSOLE_NODE_NETWORKS).toBe(network?.subnet);
  });

  it('lets one token publish and another, the console’s, end sessions, and gives none both rights', () => {
    const { tokens } = JSON.parse(withDefaults(fileOf('ingest', 'INGEST_TOKENS_FILE'))) as {
      tokens: readonly { readonly hash: string; readonly rights: readonly string[] }[];
    };
    expect(tokens.map(({ hash, rights }) => ({ hash, rights }))).toEqual([
      { hash: hashOf('for-this-machine-only'), rights: ['publish'] },
      {
        hash: hashOf(withDefaults(fileOf('console', 'CONSOLE_INGEST_TOKEN_FILE'))),
        rights: ['revoke'],
      },
    ]);
    expect(compose.services.ingest?.environment).not.toHaveProperty('INGEST_TOKENS');
  });

  it('says that its edges are plain and ask for no tokens, without which they would not start', () => {
    for (const name of ['edge-1', 'edge-2']) {
      const asked = { EDGE_AUTH: 'none', EDGE_PLAIN_BEHIND_TLS: 'true' };
      expect(compose.services[name]?.environment).toMatchObject(asked);
    }
  });

  it('holds settings for Prometheus and Grafana that are YAML, and scrapes every service', () => {
    for (const { content } of Object.values(compose.configs)) parse(content);
    const text = compose.configs.prometheus?.content ?? '';
    for (const target of ['edge-1:9080', 'edge-2:9080', 'ingest:9081']) {
      expect(text).toContain(target);
    }
  });
});

describe.each(RELEASED_SERVICES)('the image of $name', ({ name }) => {
  const text = readFileSync(`${WORKSPACE_ROOT}infra/images/${name}.Dockerfile`, 'utf8');

  it('starts what the unit starts, with the same variables', () => {
    const unit = unitOf(name);
    const command = /^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1] ?? '[]';
    expect((JSON.parse(command) as string[]).join(' ')).toBe(unit.value('Service', 'ExecStart'));
    for (const [variable, value] of Object.entries(unit.environment)) {
      expect(text).toContain(`${variable}=${value}`);
    }
  });

  it('runs without rights, and holds nothing but the release', () => {
    expect(text).toMatch(/^USER 65532:65532$/m);
    expect(text.match(/^(ADD|COPY|RUN) .*$/gm)).toEqual([
      `ADD tradewind-${name}-\${VERSION}-linux-x64.tar.gz /opt/tradewind/${name}/`,
    ]);
  });
});

/** How long a service may take to stop, in s: as its unit says, if it is ours. */
function stopSecondsOf({ build }: ComposeService): string {
  if (build === undefined) return '10';
  const name = /(\w+)\.Dockerfile$/.exec(build.dockerfile)?.[1] ?? '';
  return unitOf(name).value('Service', 'TimeoutStopSec');
}

function unitOf(name: string): UnitFile {
  const path = `${WORKSPACE_ROOT}infra/systemd/tradewind-${name}.service`;
  return readUnitFile(readFileSync(path, 'utf8'));
}
