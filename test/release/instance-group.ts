import { findFreePort, type ServiceName } from '@tradewind/dev';
import type { ServiceEnvironment } from '../support/service.ts';
import type { TcpBalancer } from '../support/tcp-balancer.ts';
import { eventually } from '../support/wait.ts';
import { VirtualMachine } from './virtual-machine.ts';

export const PROJECT = 'a-project';
export const REGION = 'europe-west4';
const ZONES = ['a', 'b', 'c'].map((letter) => `${REGION}-${letter}`);

/** The secret that holds the token of the admin ports. */
export const TOKEN_SECRET = 'admin-token';

/** How long machines may take to be ready, in ms. */
const READY_WITHIN_MS = 30_000;

export interface InstanceGroupOptions {
  readonly name: string;
  readonly service: ServiceName;
  /** Machines that it has from the start, made from the last of the templates. */
  readonly size: number;
  /** Names of the group's templates, the newest last. */
  readonly templates: readonly string[];
  /** The token of the admin ports, the first version of the secret. */
  readonly token: string;
  /** What each machine's service has beside its token and its addresses. */
  readonly settings: ServiceEnvironment;
  /** Sends clients to the machines whose services are ready. */
  readonly balancer: TcpBalancer;
}

/**
 * A regional managed instance group of Compute Engine whose machines are real services on loopback, with its templates
 * and the secret of its admin ports. As there, what is asked for happens later: machines are listed while they are
 * made and while they go. A machine that is replaced comes back under another name.
 */
export class InstanceGroup implements AsyncDisposable {
  readonly name: string;
  /** Those of the group, as of now. */
  readonly machines: VirtualMachine[] = [];
  /** Those that are gone, in order. */
  readonly removed: VirtualMachine[] = [];
  /** Templates in this project and region, each with the group whose label it has. */
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

  /** Resolves when all machines are ready. */
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

  /** How many machines it is told to have. */
  get targetSize(): number {
    return this.#targetSize;
  }

  /** What new machines are made from. */
  get newestTemplate(): string {
    return this.#newestTemplate;
  }

  /** How `npm run roll` is told of it. */
  get rollOptions(): readonly string[] {
    return [
      ...['--mig', this.name, '--region', REGION, '--project', PROJECT],
      ...['--admin-port', String(this.#adminPort)],
    ];
  }

  /** How many machines are ready right now. */
  async countReady(): Promise<number> {
    const all = await Promise.all(this.machines.map((machine) => machine.isReady()));
    return all.filter((isReady) => isReady).length;
  }

  /** Resolves when it has as many machines as it is told to have, all of them ready and known to the balancer. */
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

  /** A template that is new, as by an apply; where it is of this group, machines are made from it from now on. */
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

  /** Grows, as by an apply with a greater number. */
  resize(size: number): void {
    for (; this.#targetSize < size; this.#targetSize += 1) this.#make();
  }

  /** Takes a machine away for another one. Throws where none runs that is called so. */
  replace(name: string): void {
    this.#takeAway(name);
    this.#make();
  }

  /** Takes a machine away for good. Throws where none runs that is called so. */
  remove(name: string): void {
    this.#takeAway(name);
    this.#targetSize -= 1;
  }

  /** Throws where none runs that is called so. */
  running(name: string): VirtualMachine {
    const machine = this.machines.find((each) => each.name === name);
    if (machine?.status === 'RUNNING') return machine;
    throw new Error(`the instance ${name} is not a running one of ${this.name}`);
  }

  /** Ends all machines. Rejects with what went wrong with them, if something did. */
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
    // Whoever disposes of the group is told what went wrong.
    gone.catch(() => {});
    this.#going.push(gone);
  }
}
