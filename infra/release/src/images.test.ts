import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REDIS_IMAGE, WORKSPACE_ROOT } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { RELEASED_SERVICES } from './services.ts';
import { readUnitFile } from './unit-file.ts';

/** As much of a Compose file as is looked at. */
interface ComposeFile {
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
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly ports?: readonly string[];
}

const compose = parse(readFileSync(`${WORKSPACE_ROOT}infra/compose.yaml`, 'utf8'), {
  merge: true,
}) as ComposeFile;
const services = Object.entries(compose.services);

describe('the Compose file', () => {
  it('holds the whole tier', () => {
    expect(services.map(([name]) => name).sort()).toEqual(
      ['edge-1', 'edge-2', 'grafana', 'ingest', 'prometheus', 'redis'].sort(),
    );
    expect(compose.services.redis?.image).toBe(REDIS_IMAGE);
  });

  it.each(services)(
    '%s ends orderly, tells its health, and is open to this machine only',
    (_name, service) => {
      expect(service.init).toBe(true);
      expect(service.stop_grace_period).toBe(service.build === undefined ? '10s' : '75s');
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
    const path = `${WORKSPACE_ROOT}infra/systemd/tradewind-${name}.service`;
    const unit = readUnitFile(readFileSync(path, 'utf8'));
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
