import {
  type GcloudStandIn,
  type Options,
  printJson,
  startGcloudStandIn,
} from './gcloud-stand-in.ts';
import { type InstanceGroup, PROJECT, REGION, TOKEN_SECRET } from './instance-group.ts';
import type { VirtualMachine } from './virtual-machine.ts';

const COMPUTE = `https://www.googleapis.com/compute/v1/projects/${PROJECT}`;
const IN_GROUP = 'compute instance-groups managed';
const PLACE = ['region', 'project'];

/** The action of the group on a machine, by the status of the machine. */
const ACTIONS = { PROVISIONING: 'CREATING', RUNNING: 'NONE', STOPPING: 'DELETING' } as const;

/** Starts a `gcloud` that knows one group, and the commands by which groups are rolled. */
export async function startInstanceGroupGcloud(group: InstanceGroup): Promise<GcloudStandIn> {
  function expectGroup([name]: readonly string[], options: Options): void {
    expectProject(options);
    if (name === group.name && options.get('region') === REGION) return;
    throw new Error(`The resource 'instanceGroupManagers/${name}' was not found`);
  }

  return await startGcloudStandIn({
    [`${IN_GROUP} list-instances`]: [
      [...PLACE, 'format'],
      (words, options) => {
        expectGroup(words, options);
        return printJson(options.get('format'), group.machines.map(describeMember));
      },
    ],
    [`${IN_GROUP} describe`]: [
      [...PLACE, 'format'],
      (words, options) => {
        expectGroup(words, options);
        const { name, targetSize, newestTemplate } = group;
        const versions = [{ name: 'current', instanceTemplate: templateUrl(newestTemplate) }];
        return printJson(options.get('format'), { name, targetSize, versions });
      },
    ],
    [`${IN_GROUP} resize`]: [
      [...PLACE, 'size'],
      (words, options) => {
        expectGroup(words, options);
        const size = Number(options.get('size'));
        // Google would choose the machines itself, and cut their clients off.
        if (size < group.targetSize) throw new Error('a roll must not make a group smaller so');
        group.resize(size);
        return '';
      },
    ],
    [`${IN_GROUP} update-instances`]: [
      [...PLACE, 'instances', 'minimal-action', 'most-disruptive-allowed-action'],
      (words, options) => {
        expectGroup(words, options);
        for (const action of ['minimal-action', 'most-disruptive-allowed-action']) {
          if (options.get(action) !== 'replace') throw new Error(`${action}: would not replace`);
        }
        for (const name of namesIn(options)) group.replace(name);
        return '';
      },
    ],
    [`${IN_GROUP} delete-instances`]: [
      [...PLACE, 'instances'],
      (words, options) => {
        expectGroup(words, options);
        for (const name of namesIn(options)) group.remove(name);
        return '';
      },
    ],
    'compute instances list': [
      ['filter', 'project', 'format'],
      (_words, options) => {
        expectProject(options);
        const [, names = ''] = /^name=\((.*)\)$/.exec(options.get('filter') ?? '') ?? [];
        const asked = new Set(names.split(' '));
        const found = group.machines.filter(({ name }) => asked.has(name));
        return printJson(options.get('format'), found.map(describeMachine));
      },
    ],
    'compute start-iap-tunnel': [
      ['zone', 'project', 'local-host-port'],
      ([name = '', port], options) => {
        expectProject(options);
        const { address, zone, adminPort } = group.running(name).options;
        if (options.get('zone') !== zone) throw new Error(`${name} was not found in that zone`);
        // The firewall lets tunnels reach only this port.
        if (Number(port) !== adminPort) throw new Error("[4003: 'failed to connect to backend']");
        return { tunnelTo: { host: address, port: adminPort } };
      },
    ],
    'compute instance-templates list': [
      ['filter', 'project', 'format'],
      (_words, options) => {
        expectProject(options);
        const filter = /^properties\.labels\.tradewind-group=(\S+) AND region:(\S+)$/;
        const [, label, region] = filter.exec(options.get('filter') ?? '') ?? [];
        if (region !== REGION || options.get('format') !== 'value(name)') return '';
        const found = [...group.templates].filter(([, ofGroup]) => ofGroup === label);
        return found.map(([name]) => `${name}\n`).join('');
      },
    ],
    'compute instance-templates delete': [
      PLACE,
      ([name = ''], options) => {
        expectProject(options);
        if (group.templatesInUse.has(name)) {
          throw new Error(`The instance_template resource '${name}' is already being used`);
        }
        if (!group.templates.delete(name)) throw new Error(`'${name}' was not found`);
        return '';
      },
    ],
    'secrets versions list': [
      ['project', 'filter', 'sort-by', 'limit', 'format'],
      ([secret], options) => {
        expectProject(options);
        if (secret !== TOKEN_SECRET || options.get('sort-by') !== '~createTime') return '';
        const versions = group.tokens.map((_token, i) => `${i + 1}\n`).reverse();
        return versions.slice(0, Number(options.get('limit'))).join('');
      },
    ],
    'secrets versions access': [
      ['project', 'secret'],
      ([version], options) => {
        expectProject(options);
        const token = group.tokens[Number(version) - 1];
        if (options.get('secret') === TOKEN_SECRET && token !== undefined) return token;
        throw new Error(`NOT_FOUND: Secret Version ${version} not found`);
      },
    ],
  });
}

function expectProject(options: Options): void {
  if (options.get('project') !== PROJECT) throw new Error('the project is not this one');
}

function namesIn(options: Options): readonly string[] {
  return (options.get('instances') ?? '').split(',');
}

function templateUrl(name: string): string {
  return `${COMPUTE}/regions/${REGION}/instanceTemplates/${name}`;
}

/** A machine in the form of `list-instances`. */
function describeMember({ options, status }: VirtualMachine): object {
  const { name, zone, template } = options;
  return {
    instance: `${COMPUTE}/zones/${zone}/instances/${name}`,
    instanceStatus: status,
    currentAction: ACTIONS[status],
    version: { instanceTemplate: templateUrl(template) },
  };
}

/** A machine in the form of `instances list`. */
function describeMachine({ options, status }: VirtualMachine): object {
  const { name, zone, address } = options;
  return {
    ...{ name, status, zone: `${COMPUTE}/zones/${zone}` },
    networkInterfaces: [{ name: 'nic0', networkIP: address }],
  };
}
