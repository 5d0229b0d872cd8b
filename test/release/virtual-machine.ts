import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceName, ServiceProcess } from '@tradewind/dev';
import { type ServiceEnvironment, startEdge, startIngest } from '../support/services/service.ts';

/** How long a machine takes to be made, and to be removed, in ms; about 60 s at Google. */
const MADE_AFTER_MS = 500;
const GONE_AFTER_MS = 500;

/** How long `/readyz` may take to answer, in ms. */
const READY_DEADLINE_MS = 5_000;

export interface MachineOptions {
  readonly name: string;
  readonly zone: string;
  /** Its own address on loopback, e.g. `127.0.1.7`. */
  readonly address: string;
  readonly port: number;
  readonly adminPort: number;
  readonly template: string;
  readonly service: ServiceName;
  readonly settings: ServiceEnvironment;
  /** Reads the token of the admin ports, as its start-up script does at boot. */
  readonly readToken: () => string;
}

/** A machine of an instance group: one service at an address of its own, which ends with the machine. */
export class VirtualMachine {
  readonly options: MachineOptions;
  status: 'PROVISIONING' | 'RUNNING' | 'STOPPING' = 'PROVISIONING';
  /** Undefined before it has booted; so is its token. */
  service: ServiceProcess | undefined;
  token: string | undefined;
  /** Whether its service had ended by itself, with 0, before the machine was removed. */
  hadEnded = false;
  #exit: number | null | undefined;
  readonly #booted: Promise<void>;

  /** @param whenUp called once its service listens. */
  constructor(options: MachineOptions, whenUp: () => void) {
    this.options = options;
    this.#booted = this.#boot(whenUp);
    // `end` reports a failure.
    this.#booted.catch(() => {});
  }

  get name(): string {
    return this.options.name;
  }

  /** Never rejects. */
  async isReady(): Promise<boolean> {
    if (this.service === undefined || this.#exit !== undefined) return false;
    const { address, adminPort } = this.options;
    const signal = AbortSignal.timeout(READY_DEADLINE_MS);
    return await fetch(`http://${address}:${adminPort}/readyz`, { signal }).then(
      async (response) => {
        await response.body?.cancel();
        return response.ok;
      },
      () => false,
    );
  }

  /**
   * Removes the machine, with everything that runs on it: a drained service has ended already. Resolves after it is
   * gone; rejects if its service never started.
   */
  async end(): Promise<void> {
    this.status = 'STOPPING';
    this.hadEnded = this.#exit === 0;
    try {
      await this.#booted;
    } finally {
      this.service?.signal('SIGKILL');
      await this.service?.exited;
    }
    await sleep(GONE_AFTER_MS);
  }

  async #boot(whenUp: () => void): Promise<void> {
    const { address, port, adminPort, service: kind, settings, readToken } = this.options;
    await sleep(MADE_AFTER_MS);
    if (this.status !== 'PROVISIONING') return;
    this.status = 'RUNNING';
    this.token = readToken();
    const service = await (kind === 'edge' ? startEdge : startIngest)({
      ...settings,
      ADMIN_TOKEN: this.token,
      ...{ HOST: address, PORT: String(port) },
      ...{ ADMIN_HOST: address, ADMIN_PORT: String(adminPort) },
    });
    this.service = service;
    void service.exited.then(({ code }) => {
      this.#exit = code;
    });
    whenUp();
  }
}
