import { findFreePort, type ServiceName } from '@tradewind/dev';
import type { TcpBalancer } from '../support/faults/tcp-balancer.ts';
import type { ServiceEnvironment } from '../support/services/service.ts';
import { eventually } from '../support/suite/wait.ts';
import { VirtualMachine } from './virtual-machine.ts';

export const PROJECT = 'a-project';
export const REGION = 'europe-west4';
const ZONES = ['a', 'b', 'c'].map((letter) => `${REGION}-${letter}`);

/** The secret that holds the token of the admin ports. */
export const TOKEN_SECRET = 'admin-token';

/** How long machines may take to become ready, in ms. */
const READY_WITHIN_MS = 30_000;

export interface InstanceGroupOptions {
  readonly name: string;
  readonly service: ServiceName;
  /** The number of machines at the start, made from the newest template. */
  readonly size: number;
  /** Names of the group's templates, the newest last. */
  readonly templates: readonly string[];
  /** The token of the admin ports, the first version of the secret. */
  readonly token: string;
  /** Settings of each machine's service besides its token and its addresses. */
  readonly settings: ServiceEnvironment;
  /** Sends clients to machines whose services are ready. */
  readonly balancer: TcpBalancer;
}

/**
 * A regional managed instance group of Compute Engine whose machines are real services on loopback, with its templates
 * and the secret of its admin ports. As at Google, requests take effect later: machines are listed while they are being
 * made and while they are being removed. The replacement of a machine has another name.
 */
export class InstanceGroup implements AsyncDisposable {
  readonly name: string;
  /** The present machines of the group. */
  readonly machines: VirtualMachine[] = [];
  /** Removed machines, in order. */
  readonly removed: VirtualMachine[] = [];
  /** Templates in this project and region, each with the group of its label. */
  readonly templates = new Map<string, string>();
  /** Enabled versions of the secret, the newest last. */
  readonly tokens: string[];
  readonly #options: InstanceGroupOptions;
  readonly #port: number;
  readonly #adminPort: number;
  readonly #going: Promise<void>[] = [];
  #made = 0;
  #targetSize = 0;
  #newestTemplate = '';

  private constructor(options: InstanceGroupOptions, port: number, adminPort: number) {
    this.#options = options;
    this.#port = port;
    this.#adminPort = adminPort;
    this.name = options.name;
    this.tokens = [options.token];
    for (const template of options.templates) this.addTemplate(template);
  }

  /** Resolves after all machines are ready. */
  static async start(options: InstanceGroupOptions): Promise<InstanceGroup> {
    const group = new InstanceGroup(options, await findFreePort(), await findFreePort());
    try {
      group.resize(options.size);
      await group.untilAllReady();
      return group;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The configured number of machines. */
  get targetSize(): number {
    return this.#targetSize;
  }

  /** The template of new machines. */
  get newestTemplate(): string {
    return this.#newestTemplate;
  }

  /** The options of `npm run roll` for it. */
  get rollOptions(): readonly string[] {
    return [
      ...['--mig', this.name, '--region', REGION, '--project', PROJECT],
      ...['--admin-port', String(this.#adminPort)],
    ];
  }

  /** The number of machines that are ready now. */
  async countReady(): Promise<number> {
    const all = await Promise.all(this.machines.map((machine) => machine.isReady()));
    return all.filter((isReady) => isReady).length;
  }

  /** Resolves after it has the configured number of machines, all of them ready and known to the balancer. */
  async untilAllReady(): Promise<void> {
    const { balancer } = this.#options;
    await eventually(
      async () =>
        this.machines.length === this.#targetSize &&
        this.machines.every(({ name }) => balancer.isUp(name)) &&
        (await this.countReady()) === this.#targetSize,
      { deadlineMs: READY_WITHIN_MS },
    );
  }

  /** Adds a new template, like an apply. If it belongs to this group, machines are made from it from now on. */
  addTemplate(name: string, group = this.name): void {
    this.templates.set(name, group);
    if (group === this.name) this.#newestTemplate = name;
  }

  /** The templates that the group or one of its machines refers to. */
  get templatesInUse(): ReadonlySet<string> {
    return new Set([
      this.#newestTemplate,
      ...this.machines.map(({ options: { template } }) => template),
    ]);
  }

  /** Grows, like an apply with a greater number. */
  resize(size: number): void {
    for (; this.#targetSize < size; this.#targetSize += 1) this.#make();
  }

  /** Replaces a machine by another one. Throws if no machine with this name runs. */
  replace(name: string): void {
    this.#takeAway(name);
    this.#make();
  }

  /** Removes a machine permanently. Throws if no machine with this name runs. */
  remove(name: string): void {
    this.#takeAway(name);
    this.#targetSize -= 1;
  }

  /** Throws if no machine with this name runs. */
  running(name: string): VirtualMachine {
    const machine = this.machines.find((each) => each.name === name);
    if (machine?.status === 'RUNNING') return machine;
    throw new Error(`the instance ${name} is not a running one of ${this.name}`);
  }

  /** Ends all machines. Rejects with their failures, if there are any. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.machines) if (machine.status !== 'STOPPING') this.#end(machine);
    const ended = await Promise.allSettled(this.#going);
    const faults = ended.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    if (faults.length > 0) throw new AggregateError(faults, `machines of ${this.name} failed`);
  }

  #make(): void {
    this.#made += 1;
    const number = this.#made;
    const { service, settings, balancer } = this.#options;
    const name = `${this.name}-${number.toString(36).padStart(4, '0')}`;
    const address = `127.0.1.${number}`;
    const machine = new VirtualMachine(
      {
        ...{ name, address, service, port: this.#port, adminPort: this.#adminPort },
        zone: ZONES[number % ZONES.length] as string,
        template: this.#newestTemplate,
        settings: service === 'edge' ? { ...settings, EDGE_NODE_ID: name } : settings,
        readToken: () => this.tokens.at(-1) as string,
      },
      () => void balancer.add({ name, host: address, port: this.#port }),
    );
    this.machines.push(machine);
  }

  #takeAway(name: string): void {
    this.#end(this.running(name));
  }

  #end(machine: VirtualMachine): void {
    this.#options.balancer.remove(machine.name);
    const gone = machine.end().finally(() => {
      this.machines.splice(this.machines.indexOf(machine), 1);
      this.removed.push(machine);
    });
    // The disposal of the group reports failures.
    gone.catch(() => {});
    this.#going.push(gone);
  }
}
