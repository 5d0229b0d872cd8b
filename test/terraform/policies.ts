import { type HclModule, type HclResource, nestedBlocks } from './hcl.ts';

/** One rule that all of the Terraform code keeps. */
export interface Policy {
  readonly name: string;
  /** One line per breach; empty when there is none. */
  readonly faults: (module: HclModule) => string[];
}

/** Resources that are VMs, or what VMs are made from. */
const VM_TYPES = [
  'google_compute_instance',
  'google_compute_instance_template',
  'google_compute_region_instance_template',
];

/** What an account of a VM may be given, each on the narrowest resource that has it. */
const ALLOWED_ROLES: Readonly<Record<string, readonly string[]>> = {
  google_project_iam_member: [
    ...['roles/logging.logWriter', 'roles/monitoring.metricWriter'],
    // Of one instance, by a condition: the instance itself has no policy that Terraform knows.
    'roles/memorystore.dbConnectionUser',
  ],
  google_secret_manager_secret_iam_member: ['roles/secretmanager.secretAccessor'],
  google_storage_bucket_iam_member: ['roles/storage.objectViewer'],
};

/**
 * Expressions for what may reach a VM: the balancer's ranges, its proxies', Identity-Aware Proxy, and
 * the ranges of operators and publishers, whose variables refuse wide ones.
 */
const ALLOWED_SOURCES = [
  'data.google_compute_lb_ip_ranges.google.http_ssl_tcp_internal',
  'var.proxy_subnet_cidr',
  'local.iap_range',
  'var.source_ranges',
  'var.client_ranges',
];

/** What Identity-Aware Proxy forwards TCP from, wherever it is called `local.iap_range`. */
const IAP_RANGE = '35.235.240.0/20';

/** Where something is, in types that cannot be moved: other zones would be another, empty one. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  google_compute_disk: ['zone'],
  google_compute_instance: ['zone'],
  google_compute_region_instance_group_manager: ['distribution_policy_zones'],
  google_redis_instance: ['location_id', 'alternative_location_id'],
};

/** The API that a type needs, by the beginning of its name; the longest one counts. */
const APIS: Readonly<Record<string, string>> = {
  google_certificate_manager_: 'certificatemanager',
  google_compute_: 'compute',
  google_dns_: 'dns',
  google_memorystore_: 'memorystore',
  google_monitoring_: 'monitoring',
  google_network_connectivity_: 'networkconnectivity',
  google_os_config_: 'osconfig',
  google_project_iam_: 'cloudresourcemanager',
  google_project_service: 'cloudresourcemanager',
  google_redis_: 'redis',
  google_secret_manager_: 'secretmanager',
  google_service_account: 'iam',
  google_service_networking_: 'servicenetworking',
  google_storage_: 'storage',
};

/** What lets an apply take over what is there already, by type. */
const TAKING_OVER: Readonly<Record<string, string>> = {
  google_service_account: 'create_ignore_already_exists',
  google_service_networking_connection: 'update_on_creation_fail',
};

/** What is destroyed first, and refuses while the tier is protected. */
const PROTECTION = 'terraform_data.protection';

const SCHEMES = ['EXTERNAL_MANAGED', 'INTERNAL_MANAGED'];

export const POLICIES: readonly Policy[] = [
  policy('no VM has a public address', (resource) => {
    if (!VM_TYPES.includes(resource.type)) return [];
    const open = ['access_config', 'ipv6_access_config'].flatMap((name) =>
      nestedBlocks(resource.body, name),
    );
    return open.length > 0 ? ['has a public address'] : [];
  }),
  policy('no VM is Spot or without Secure Boot', (resource) => {
    if (!VM_TYPES.includes(resource.type)) return [];
    const [scheduling] = nestedBlocks(resource.body, 'scheduling');
    const [shielded] = nestedBlocks(resource.body, 'shielded_instance_config');
    return [
      ...(scheduling?.provisioning_model === 'STANDARD' ? [] : ['is not provisioned as STANDARD']),
      ...(shielded?.enable_secure_boot === true ? [] : ['has no Secure Boot']),
    ];
  }),
  policy('a VM has an account of its own, with few rights', (resource) => {
    if (VM_TYPES.includes(resource.type)) {
      const [account] = nestedBlocks(resource.body, 'service_account');
      const isOwn = String(account?.email ?? '').includes('google_service_account.');
      return isOwn ? [] : ['has no service account of its own'];
    }
    if (!/_iam_(member|binding|policy)$/.test(resource.type)) return [];
    const role = String(resource.body.role ?? 'a whole policy');
    return ALLOWED_ROLES[resource.type]?.includes(role) ? [] : [`gives ${role}`];
  }),
  policy('VMs are reached from balancers and known accounts only', (resource, { locals }) => {
    if (resource.type !== 'google_compute_firewall') return [];
    const { source_ranges: ranges, source_service_accounts: accounts, source_tags } = resource.body;
    if (source_tags !== undefined) return ['goes by tags, which anybody who makes a VM can set'];
    if (ranges === undefined) return accounts === undefined ? ['lets everybody in'] : [];
    return [ranges]
      .flat()
      .map(withoutBraces)
      .map((range) => (range === 'local.iap_range' ? iapFault(locals.iap_range) : range))
      .filter((range) => !ALLOWED_SOURCES.includes(range))
      .map((range) => `lets ${range} in`);
  }),
  policy('what cannot be moved stays in its zones', (resource) => {
    const ignored = nestedBlocks(resource.body, 'lifecycle')
      .flatMap(({ ignore_changes }) => ignore_changes as readonly string[])
      .map(withoutBraces);
    return (PLACES[resource.type] ?? [])
      .filter((place) => !ignored.includes(place))
      .map((place) => `is replaced when ${place} changes`);
  }),
  {
    name: 'zones are not chosen by their state of the moment',
    faults: ({ path, data }) =>
      data
        .filter(({ type, body }) => type === 'google_compute_zones' && 'status' in body)
        .map(({ name }) => `${path}: data.google_compute_zones.${name} asks for a status`),
  },
  {
    name: 'every module waits for the APIs',
    faults: ({ path, resources, modules }) => {
      if (!resources.some(({ type }) => type === 'google_project_service')) return [];
      return Object.entries(modules)
        .filter(
          ([, { depends_on }]) => !JSON.stringify(depends_on ?? '').includes('time_sleep.apis}'),
        )
        .map(([name]) => `${path}: module ${name} may come before the APIs`);
    },
  },
  policy('a balancing scheme is set', (resource) => {
    const hasScheme = /^google_compute_(region_|global_)?(backend_service|forwarding_rule)$/;
    if (!hasScheme.test(resource.type)) return [];
    const scheme = String(resource.body.load_balancing_scheme);
    return SCHEMES.includes(scheme) ? [] : [`has the scheme ${scheme}`];
  }),
  policy('timeouts and draining are set', (resource) => {
    if (!/^google_compute_(region_)?backend_service$/.test(resource.type)) return [];
    return ['timeout_sec', 'connection_draining_timeout_sec', 'health_checks']
      .filter((name) => resource.body[name] === undefined)
      .map((name) => `does not set ${name}`);
  }),
  policy('a group replaces nothing by itself, and heals by /healthz', (resource) => {
    if (!/instance_group_manager$/.test(resource.type)) return [];
    const [update] = nestedBlocks(resource.body, 'update_policy');
    const [healing] = nestedBlocks(resource.body, 'auto_healing_policies');
    const isAlive = String(healing?.health_check).includes('google_compute_health_check.alive.');
    return [
      ...(update?.type === 'OPPORTUNISTIC' ? [] : [`has updates of type ${update?.type}`]),
      ...(isAlive ? [] : ['is not healed by the check named alive']),
    ];
  }),
  policy('health checks are apart: alive for healing, ready for balancing', (resource) => {
    if (/^google_compute_(region_)?health_check$/.test(resource.type)) {
      const [http] = nestedBlocks(resource.body, 'http_health_check');
      const wanted = { alive: '/healthz', ready: '/readyz' }[resource.name];
      return http?.request_path === wanted ? [] : [`asks ${http?.request_path}, not ${wanted}`];
    }
    if (!/^google_compute_(region_)?backend_service$/.test(resource.type)) return [];
    const checks = JSON.stringify(resource.body.health_checks ?? '');
    return /health_check\.ready/.test(checks) ? [] : ['is not checked by the check named ready'];
  }),
  policy('a template is made before the old one goes', (resource) => {
    if (!/instance_template$/.test(resource.type)) return [];
    const [lifecycle] = nestedBlocks(resource.body, 'lifecycle');
    const isFirst = lifecycle?.create_before_destroy === true;
    const hasPrefix = resource.body.name_prefix !== undefined && resource.body.name === undefined;
    return isFirst && hasPrefix ? [] : ['needs create_before_destroy and a name_prefix'];
  }),
  policy('a template outlives the apply that replaces it', (resource) => {
    if (!/instance_template$/.test(resource.type)) return [];
    return resource.body.deletion_policy === 'ABANDON'
      ? []
      : ['is deleted while VMs still need it'];
  }),
  policy('a roll-out of an OS policy is not waited for', (resource) => {
    if (resource.type !== 'google_os_config_os_policy_assignment') return [];
    return resource.body.skip_await_rollout === true ? [] : ['is lost to the state if it is slow'];
  }),
  policy('what a lost answer left behind is taken over where the provider can', (resource) => {
    const argument = TAKING_OVER[resource.type];
    if (argument === undefined || resource.body[argument] === true) return [];
    return [`does not set ${argument}`];
  }),
  {
    name: 'no group is made smaller unawares: its size is read while planning',
    faults: ({ path, resources, data, outputs }) => {
      if (!resources.some(({ type }) => type === 'google_project_service')) return [];
      const read = data.find(({ type }) => type === 'google_compute_region_instance_group');
      // What refers to a module or a group itself, or waits for something, is read after the change.
      const isEarly =
        /^\$\{local\./.test(String(read?.body.for_each)) && read?.body.depends_on === undefined;
      return ['edge', 'ingest']
        .filter((group) => {
          const { precondition } = outputs[`${group}_target_size`] ?? {};
          return !isEarly || !JSON.stringify(precondition ?? '').includes('local.lowered');
        })
        .map((group) => `${path}: the group ${group} can be made smaller without a word`);
    },
  },
  policy('a peering that Google still holds stops no destroy', (resource) => {
    if (resource.type !== 'google_service_networking_connection') return [];
    return resource.body.deletion_policy === 'ABANDON' ? [] : ['is refused its end for days'];
  }),
  {
    name: 'a destroy begins with what may refuse it',
    faults: ({ path, resources, modules }) => {
      if (!resources.some(({ type }) => type === 'google_project_service')) return [];
      const guard = resources.find(({ type, name }) => `${type}.${name}` === PROTECTION);
      const needed = JSON.stringify(guard?.body.depends_on ?? '');
      return Object.keys(modules)
        .filter((name) => name !== 'status' && !needed.includes(`module.${name}}`))
        .map((name) => `${path}: module ${name} goes before ${PROTECTION} is asked`);
    },
  },
  policy('a group goes on without one of its zones', (resource) => {
    if (!/region_instance_group_manager$/.test(resource.type)) return [];
    const [repair] = nestedBlocks(resource.body, 'instance_lifecycle_policy').flatMap((block) =>
      nestedBlocks(block, 'on_repair'),
    );
    const { distribution_policy_target_shape: shape } = resource.body;
    return [
      ...(shape === 'BALANCED' ? [] : [`has the shape ${shape}`]),
      ...(repair?.allow_changing_zone === 'YES' ? [] : ['repairs in the same zone only']),
    ];
  }),
  policy('the next version of a secret is there before the last one goes', (resource) => {
    if (resource.type !== 'google_secret_manager_secret_version') return [];
    const [lifecycle] = nestedBlocks(resource.body, 'lifecycle');
    return lifecycle?.create_before_destroy === true ? [] : ['goes before the next one is there'];
  }),
  policy('an autoscaler only scales out', (resource) => {
    if (!/autoscaler$/.test(resource.type)) return [];
    const [scaling] = nestedBlocks(resource.body, 'autoscaling_policy');
    return scaling?.mode === 'ONLY_SCALE_OUT' ? [] : [`has the mode ${scaling?.mode}`];
  }),
  policy('no secret stands in the code', (resource) => {
    if (resource.type !== 'google_secret_manager_secret_version') return [];
    const { secret_data: kept, secret_data_wo: forgotten } = resource.body;
    const isReference = /^\$\{[^"]+\}$/.test(String(kept ?? forgotten));
    return isReference ? [] : ['holds its secret'];
  }),
  policy('a certificate is issued before its domain points here', (resource) => {
    if (resource.type === 'google_compute_managed_ssl_certificate')
      return ['is issued only when the domain points here, and replaced with an outage'];
    if (resource.type !== 'google_certificate_manager_certificate') return [];
    const [managed] = nestedBlocks(resource.body, 'managed');
    return managed?.dns_authorizations === undefined ? ['has no DNS authorisation'] : [];
  }),
  policy('Memorystore has a replica, a password and TLS', (resource) => {
    if (resource.type !== 'google_redis_instance') return [];
    const { tier, auth_enabled: auth, transit_encryption_mode: tls } = resource.body;
    const isSafe = tier === 'STANDARD_HA' && auth === true && tls === 'SERVER_AUTHENTICATION';
    return isSafe ? [] : [`is ${tier}, password ${auth}, TLS ${tls}`];
  }),
  {
    name: 'the provider has a least version and a major one that ends it',
    faults: ({ path, providers }) => {
      const { version } = (providers.google ?? {}) as { version?: string };
      return /^>= \d+\.\d+, < \d+$/.test(version ?? '') ? [] : [`${path}: google is ${version}`];
    },
  },
  {
    name: 'what is applied has a provider with labels and a state in a bucket; what is called has neither',
    faults: ({ path, texts }) => {
      const has = (pattern: RegExp) => texts.some((text) => pattern.test(text));
      const isRoot = path.startsWith('examples/');
      const isConfigured = has(/^provider "/m) || has(/^ +backend "/m);
      if (!isRoot)
        return isConfigured ? [`${path}: cannot be called with count or depends_on`] : [];
      const isWhole = has(/^ +default_labels = /m) && has(/^ +backend "gcs" \{\}$/m);
      return isWhole ? [] : [`${path}: has no labels, or keeps its state where it is applied`];
    },
  },
  {
    name: 'no module holds an ephemeral resource, which a test cannot mock',
    faults: ({ path, texts }) =>
      texts.some((text) => /^ephemeral "/m.test(text)) ? [`${path}: holds one`] : [],
  },
  {
    name: 'every variable and output says what it is',
    faults: ({ path, variables, outputs }) => [
      ...Object.entries(variables)
        .filter(([, { description, type }]) => description === undefined || type === undefined)
        .map(([name]) => `${path}: variable ${name} lacks a description or a type`),
      ...Object.entries(outputs)
        .filter(([, { description }]) => description === undefined)
        .map(([name]) => `${path}: output ${name} lacks a description`),
    ],
  },
];

/** The APIs that the resources of these modules need, each once. Throws for a type that is not known. */
export function apisOf(modules: readonly HclModule[]): string[] {
  const types = modules
    .flatMap(({ resources, data }) => [...resources, ...data])
    .map(({ type }) => type)
    .filter((type) => type.startsWith('google_'));
  return [...new Set(types.map(apiOf))].sort();
}

function apiOf(type: string): string {
  const beginning = Object.keys(APIS)
    .filter((key) => type.startsWith(key))
    .sort((a, b) => b.length - a.length)[0];
  if (beginning === undefined) throw new Error(`it is not known which API ${type} needs`);
  return APIS[beginning] as string;
}

/** A policy that looks at one resource at a time. */
function policy(
  name: string,
  faultsOf: (resource: HclResource, module: HclModule) => string[],
): Policy {
  return {
    name,
    faults: (module) =>
      module.resources.flatMap((resource) =>
        faultsOf(resource, module).map(
          (fault) => `${module.path}: ${resource.type}.${resource.name} ${fault}`,
        ),
      ),
  };
}

function withoutBraces(expression: unknown): string {
  return String(expression).replace(/^\$\{|\}$/g, '');
}

/** `local.iap_range` where it is what its name says, else its value. */
function iapFault(value: unknown): string {
  return value === IAP_RANGE ? 'local.iap_range' : String(value);
}
