import { readFileSync } from 'node:fs';
import { FUNCTION_LIBRARY } from '@tradewind/bus';
import { TERRAFORM_ROOT } from './hcl.ts';

/** A start-up script as Terraform's `templatefile` would make it. Throws for a value that is missing. */
export function renderStartup(
  template: 'vm-startup.sh.tftpl' | 'redis-startup.sh.tftpl',
  values: Readonly<Record<string, string>>,
): string {
  const script = (name: string) => readFileSync(`${TERRAFORM_ROOT}startup/${name}`, 'utf8');
  const all: Readonly<Record<string, string>> = {
    functions: script('functions.sh'),
    users_functions: script('redis-users.sh'),
    ...values,
  };
  const text = readFileSync(`${TERRAFORM_ROOT}startup/${template}`, 'utf8');
  const filled = text.replace(/(?<!\$)\$\{(\w+)\}/g, (_, name: string) => {
    const value = all[name];
    if (value === undefined) throw new Error(`${template} needs ${name}`);
    return value;
  });
  return filled.replaceAll('$${', '${');
}

/** Text as the templates take it, in base64: no quoting, whatever it holds. */
export function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** As on Google's machines; a test that runs a script says where its stand-ins are. */
const HOSTS = {
  root: '',
  metadata_host: 'http://metadata.google.internal',
  storage_host: 'https://storage.googleapis.com',
  secret_manager_host: 'https://secretmanager.googleapis.com',
};

/** What Terraform would fill into an edge's script. */
export const VM_VALUES = {
  ...HOSTS,
  service: 'edge',
  version: '1.2.3',
  bucket: 'releases',
  object: 'edge.tar.gz',
  sha256: '0'.repeat(64),
  environment_base64: encoded('EDGE_CHANNELS=BTC.*,ETH.*\n'),
  secret_files_base64: encoded('redis-password projects/p/secrets/redis/versions/1\n'),
  secret_variables_base64: encoded('INGEST_TOKENS projects/p/secrets/tokens/versions/latest\n'),
  redis_ca_base64: encoded('a certificate'),
  agent_base64: encoded('settings of the agent\n'),
};

/** The same for a Redis of our own, without users. */
export const REDIS_VALUES = {
  ...HOSTS,
  engine: 'valkey',
  version: '8.1.4',
  bucket: 'releases',
  object: 'valkey-8.1.4.tar.gz',
  sha256: '0'.repeat(64),
  configuration_base64: '',
  users_base64: encoded('admin projects/p/secrets/admin/versions/latest\n'),
  secret_files_base64: '',
  ca_base64: '',
  library_base64: encoded(FUNCTION_LIBRARY),
  replication_secret: 'projects/p/secrets/replication/versions/latest',
  memory_percent: '60',
};
