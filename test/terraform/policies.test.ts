import { describe, expect, it } from 'vitest';
import { type HclModule, modulePaths, parseModule, readModule } from './hcl.ts';
import { apisOf, POLICIES } from './policies.ts';
import { readVariableType } from './variable-type.ts';

const MODULES = await Promise.all(modulePaths().map(readModule));

/** For each policy, code that breaks it and what is said about that. */
const BREACHES: Readonly<Record<string, { code: string; fault: string }>> = {
  'no VM has a public address': {
    code: 'resource "google_compute_instance" "x" {\n network_interface {\n access_config {}\n }\n }',
    fault: 'fixture: google_compute_instance.x has a public address',
  },
  'no VM is Spot or without Secure Boot': {
    code: `resource "google_compute_instance" "x" {
      scheduling { provisioning_model = "SPOT" }
      shielded_instance_config { enable_secure_boot = true }
    }`,
    fault: 'fixture: google_compute_instance.x is not provisioned as STANDARD',
  },
  'a VM has an account of its own, with few rights': {
    code: 'resource "google_project_iam_member" "x" { role = "roles/editor" }',
    fault: 'fixture: google_project_iam_member.x gives roles/editor',
  },
  'VMs are reached from balancers and known accounts only': {
    code: 'resource "google_compute_firewall" "x" { source_ranges = ["0.0.0.0/0"] }',
    fault: 'fixture: google_compute_firewall.x lets 0.0.0.0/0 in',
  },
  'what cannot be moved stays in its zones': {
    code: 'resource "google_redis_instance" "x" {\n lifecycle { ignore_changes = [location_id] }\n }',
    fault: 'fixture: google_redis_instance.x is replaced when alternative_location_id changes',
  },
  'zones are not chosen by their state of the moment': {
    code: 'data "google_compute_zones" "x" { status = "UP" }',
    fault: 'fixture: data.google_compute_zones.x asks for a status',
  },
  'every module waits for the APIs': {
    code: `resource "google_project_service" "api" {}
      module "a" { source = "./a" }
      module "b" {
        source     = "./b"
        depends_on = [time_sleep.apis]
      }`,
    fault: 'fixture: module a may come before the APIs',
  },
  'a balancing scheme is set': {
    code: 'resource "google_compute_backend_service" "x" {}',
    fault: 'fixture: google_compute_backend_service.x has the scheme undefined',
  },
  'timeouts and draining are set': {
    code: `resource "google_compute_backend_service" "x" {
      timeout_sec   = 30
      health_checks = []
    }`,
    fault: 'fixture: google_compute_backend_service.x does not set connection_draining_timeout_sec',
  },
  'a group replaces nothing by itself, and heals by /healthz': {
    code: `resource "google_compute_region_instance_group_manager" "x" {
      auto_healing_policies { health_check = google_compute_health_check.alive.id }
      update_policy { type = "PROACTIVE" }
    }`,
    fault: 'fixture: google_compute_region_instance_group_manager.x has updates of type PROACTIVE',
  },
  'health checks are apart: alive for healing, ready for balancing': {
    code: 'resource "google_compute_health_check" "alive" {\n http_health_check { request_path = "/readyz" }\n }',
    fault: 'fixture: google_compute_health_check.alive asks /readyz, not /healthz',
  },
  'a template is made before the old one goes': {
    code: 'resource "google_compute_region_instance_template" "x" { name_prefix = "x-" }',
    fault:
      'fixture: google_compute_region_instance_template.x needs create_before_destroy and a name_prefix',
  },
  'a template outlives the apply that replaces it': {
    code: 'resource "google_compute_region_instance_template" "x" { name_prefix = "x-" }',
    fault: 'fixture: google_compute_region_instance_template.x is deleted while VMs still need it',
  },
  'a roll-out of an OS policy is not waited for': {
    code: 'resource "google_os_config_os_policy_assignment" "x" {}',
    fault: 'fixture: google_os_config_os_policy_assignment.x is lost to the state if it is slow',
  },
  'what a lost answer left behind is taken over where the provider can': {
    code: 'resource "google_service_account" "x" {}',
    fault: 'fixture: google_service_account.x does not set create_ignore_already_exists',
  },
  'no group is made smaller unawares: its size is read while planning': {
    code: `resource "google_project_service" "api" {}
      data "google_compute_region_instance_group" "now" { for_each = local.instance_groups }
      output "edge_target_size" {
        precondition { condition = local.lowered["edge"] == 0 }
      }
      output "ingest_target_size" {}`,
    fault: 'fixture: the group ingest can be made smaller without a word',
  },
  'a peering that Google still holds stops no destroy': {
    code: 'resource "google_service_networking_connection" "x" {}',
    fault: 'fixture: google_service_networking_connection.x is refused its end for days',
  },
  'a destroy begins with what may refuse it': {
    code: `resource "google_project_service" "api" {}
      resource "terraform_data" "protection" { depends_on = [module.b] }
      module "a" { source = "./a" }
      module "b" { source = "./b" }`,
    fault: 'fixture: module a goes before terraform_data.protection is asked',
  },
  'a group goes on without one of its zones': {
    code: `resource "google_compute_region_instance_group_manager" "x" {
      distribution_policy_target_shape = "EVEN"
      instance_lifecycle_policy {
        on_repair { allow_changing_zone = "YES" }
      }
    }`,
    fault: 'fixture: google_compute_region_instance_group_manager.x has the shape EVEN',
  },
  'the next version of a secret is there before the last one goes': {
    code: 'resource "google_secret_manager_secret_version" "x" {}',
    fault: 'fixture: google_secret_manager_secret_version.x goes before the next one is there',
  },
  'an autoscaler only scales out': {
    code: 'resource "google_compute_region_autoscaler" "x" {\n autoscaling_policy { mode = "ON" }\n }',
    fault: 'fixture: google_compute_region_autoscaler.x has the mode ON',
  },
  'no secret stands in the code': {
    code: 'resource "google_secret_manager_secret_version" "x" { secret_data = "hush" }',
    fault: 'fixture: google_secret_manager_secret_version.x holds its secret',
  },
  'a certificate is issued before its domain points here': {
    code: 'resource "google_compute_managed_ssl_certificate" "x" {}',
    fault:
      'fixture: google_compute_managed_ssl_certificate.x is issued only when the domain points here, and replaced with an outage',
  },
  'Memorystore has a replica, a password and TLS': {
    code: 'resource "google_redis_instance" "x" { tier = "BASIC" }',
    fault: 'fixture: google_redis_instance.x is BASIC, password undefined, TLS undefined',
  },
  'the provider has a least version and a major one that ends it': {
    code: 'terraform {\n required_providers { google = { version = ">= 7" } }\n }',
    fault: 'fixture: google is >= 7',
  },
  'what is applied has a provider with labels and a state in a bucket; what is called has neither':
    {
      code: 'provider "google" {\n project = "p"\n }',
      fault: 'fixture: cannot be called with count or depends_on',
    },
  'no module holds an ephemeral resource, which a test cannot mock': {
    code: 'ephemeral "random_password" "x" {\n length = 48\n }',
    fault: 'fixture: holds one',
  },
  'every variable and output says what it is': {
    code: 'variable "x" { type = string }',
    fault: 'fixture: variable x lacks a description or a type',
  },
};

/** Where a policy that speaks of this must find something, or it would hold for want of it. */
function countOf(type: RegExp): number {
  return MODULES.flatMap(({ resources }) => resources).filter((one) => type.test(one.type)).length;
}

describe.each(POLICIES)('$name', ({ name, faults }) => {
  it('holds in all modules', () => {
    expect(MODULES.flatMap((module) => faults(module))).toEqual([]);
  });

  it('finds a breach', async () => {
    const breach = BREACHES[name];
    const module: HclModule = await parseModule('fixture', [breach?.code ?? '']);
    expect(faults(module)).toEqual([breach?.fault]);
  });
});

describe('what a plain look would miss', () => {
  const faultsIn = async (name: string, code: string): Promise<string[] | undefined> =>
    POLICIES.find((one) => one.name === name)?.faults(await parseModule('fixture', [code]));

  it('is a public address in a dynamic block', async () => {
    const code = `resource "google_compute_instance" "x" {
      network_interface {
        dynamic "access_config" {
          for_each = [1]
          content {}
        }
      }
    }`;
    expect(await faultsIn('no VM has a public address', code)).toHaveLength(1);
  });

  it('is a range that is called that of Identity-Aware Proxy', async () => {
    const code = (range: string) => `locals { iap_range = "${range}" }
      resource "google_compute_firewall" "x" { source_ranges = [local.iap_range] }`;
    const name = 'VMs are reached from balancers and known accounts only';
    expect(await faultsIn(name, code('35.235.240.0/20'))).toEqual([]);
    expect(await faultsIn(name, code('0.0.0.0/0'))).toEqual([
      'fixture: google_compute_firewall.x lets 0.0.0.0/0 in',
    ]);
  });
});

describe('an object', () => {
  it('has its fields and their defaults in the tier, and modules take them apart', () => {
    const tier = MODULES.find(({ path }) => path === '.');
    const called = Object.values(tier?.modules ?? {}).map(({ source }) => String(source).slice(2));
    expect(called).toContain('modules/vm_group');
    const modules = MODULES.filter(({ path }) => path === '.' || called.includes(path));
    expect(declaredTwice(modules)).toEqual([]);
  });

  it('is found out when a module declares it again', async () => {
    const object = 'variable "a" {\n type = object({ b = object({ c = string, d = string }) })\n}';
    const again = 'variable "e" {\n type = object({ c = string, d = string, f = string })\n}';
    const modules = [await parseModule('one', [object]), await parseModule('two', [again])];
    expect(declaredTwice(modules)).toEqual(['one: a.b and two: e share c, d']);
  });
});

/** Objects of different modules that share two fields or more; one line each. */
function declaredTwice(modules: readonly HclModule[]): string[] {
  const objects = modules.flatMap(({ path, variables }) =>
    Object.entries(variables).flatMap(([name, { type }]) => objectsOf(path, name, String(type))),
  );
  return objects.flatMap((one, i) =>
    objects.slice(i + 1).flatMap((other) => {
      const shared = one.fields.filter((field) => other.fields.includes(field));
      if (one.path === other.path || shared.length < 2) return [];
      return [
        `${one.path}: ${one.name} and ${other.path}: ${other.name} share ${shared.join(', ')}`,
      ];
    }),
  );
}

/** The objects that a variable is made of, at any depth, with the names of their fields. */
function objectsOf(
  path: string,
  variable: string,
  type: string,
): { path: string; name: string; fields: string[] }[] {
  const objects = new Map<string, string[]>();
  for (const field of readVariableType(type.replace(/^\$\{|\}$/g, '')).fields) {
    const at = field.path.lastIndexOf('.');
    const name = [variable, field.path.slice(0, Math.max(at, 0))].filter(Boolean).join('.');
    objects.set(name, [...(objects.get(name) ?? []), field.path.slice(at + 1)]);
  }
  return [...objects].map(([name, fields]) => ({ path, name, fields }));
}

it('switches on every API that a resource needs', () => {
  const root = JSON.stringify(MODULES.find(({ path }) => path === '.')?.locals.services);
  const missing = apisOf(MODULES).filter((api) => !root.includes(`\\"${api}\\"`));
  expect(missing).toEqual([]);
  expect(apisOf(MODULES).length).toBeGreaterThan(8);
});

it('finds every kind of resource that the policies are about', () => {
  expect(countOf(/instance_template$/)).toBe(1);
  expect(countOf(/^google_compute_instance$/)).toBe(2);
  expect(countOf(/instance_group_manager$/)).toBe(1);
  expect(countOf(/firewall$/)).toBe(9);
  expect(countOf(/backend_service$/)).toBe(3);
  expect(countOf(/_iam_member$/)).toBeGreaterThanOrEqual(9);
});
