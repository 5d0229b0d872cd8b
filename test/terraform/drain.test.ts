import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readUnitFile } from '@tradewind/release';
import { describe, expect, it } from 'vitest';
import { type HclModule, modulePaths, readModule } from './hcl.ts';

/** What spreading a health check's verdict over all front ends may take, in s; Google gives no figure. */
const SPREAD_SECONDS = 1;

const MODULES = await Promise.all(modulePaths().map(readModule));
const SERVICES = ['edge', 'ingest'] as const;

/** How long a service drains, in s; as text where it is written as text. */
interface Drain {
  readonly accept: unknown;
  readonly all: unknown;
}

const file = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const find = (path: string): HclModule => {
  const found = MODULES.find((one) => one.path === path);
  if (found === undefined) throw new Error(`there is no ${path}`);
  return found;
};

/** The longest that a balancer of ours sends clients to a VM that is not ready, in s. */
function noticedAfterSeconds(): number {
  const checks = MODULES.flatMap(({ resources }) => resources).filter(
    ({ type, name }) => /health_check$/.test(type) && name === 'ready',
  );
  expect(checks).toHaveLength(2);
  return Math.max(
    ...checks.map(({ body }) => Number(body.check_interval_sec) * Number(body.unhealthy_threshold)),
  );
}

function drainOfUnit(service: string): Drain {
  const { environment } = readUnitFile(file(`infra/systemd/tradewind-${service}.service`));
  return { accept: environment.DRAIN_ACCEPT_SECONDS, all: environment.DRAIN_SECONDS };
}

function drainOfImage(service: string): Drain {
  const text = file(`infra/images/${service}.Dockerfile`);
  const value = (name: string) => new RegExp(`\\b${name}=(\\d+)`).exec(text)?.[1];
  return { accept: value('DRAIN_ACCEPT_SECONDS'), all: value('DRAIN_SECONDS') };
}

/** The shortest that Terraform allows: of ingest it is said, of edges it may be chosen. */
function drainOfTerraform(service: string): Drain {
  const { balancer_environment: common } = find('modules/vm_group').locals;
  const { locals, variables } = find('.');
  const text = service === 'edge' ? JSON.stringify(variables.edge) : String(locals.groups);
  const all = /var\.edge\.drain_seconds >= (\d+)|drain_seconds += (\d+)/.exec(text);
  return {
    accept: (common as Readonly<Record<string, string>>).DRAIN_ACCEPT_SECONDS,
    all: all?.[1] ?? all?.[2],
  };
}

/** Of an edge's drain, what it keeps back for stopping, in s: with less than 1 s left it does not start. */
function reserveSeconds(): number {
  const text = file('services/edge/src/config/edge-config.ts');
  return Number(/DRAIN_RESERVE_SECONDS = (\d+);/.exec(text)?.[1]);
}

function faultsOf({ accept, all }: Drain, noticedAfter: number): string[] {
  const [acceptSeconds, seconds] = [Number(accept), Number(all)];
  return [
    ...(acceptSeconds > noticedAfter + SPREAD_SECONDS ? [] : [`accepts for ${accept} s only`]),
    ...(acceptSeconds <= seconds - reserveSeconds() - 1 ? [] : [`drains for ${all} s only`]),
    ...(seconds <= 60 ? [] : [`drains for ${all} s`]),
  ];
}

describe('a drain', () => {
  it('fails its check when it ends before the balancer has noticed, or leaves no time', () => {
    expect(faultsOf({ accept: '5', all: '60' }, 10)).toEqual(['accepts for 5 s only']);
    expect(faultsOf({ accept: '12', all: '14' }, 10)).toEqual(['drains for 14 s only']);
    expect(faultsOf({ accept: '12', all: '61' }, 10)).toEqual(['drains for 61 s']);
    expect(faultsOf({ accept: undefined, all: '60' }, 10)).toHaveLength(2);
  });

  it.each(SERVICES)('of %s outlasts the balancer, wherever it is set', (service) => {
    const noticedAfter = noticedAfterSeconds();
    expect(noticedAfter).toBe(10);
    for (const drainOf of [drainOfUnit, drainOfImage, drainOfTerraform]) {
      expect([drainOf.name, ...faultsOf(drainOf(service), noticedAfter)]).toEqual([drainOf.name]);
    }
  });

  it('is the same in the Compose file, whose services wait for it', () => {
    const text = file('infra/compose.yaml');
    const accept = [...text.matchAll(/DRAIN_ACCEPT_SECONDS: "(\d+)"/g)].map(([, value]) => value);
    // For the edges together, and for ingest.
    expect(accept).toEqual([drainOfUnit('edge').accept, drainOfUnit('ingest').accept]);
    expect(text.match(/stop_grace_period: 75s/g)).toHaveLength(2);
  });
});
