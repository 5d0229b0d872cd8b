import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { FakeNode } from './fake-node.ts';

/** A port of this machine that a tunnel leads to. */
export interface TunnelTarget {
  readonly host: string;
  readonly port: number;
}

/** What the fake gcloud does: it prints, fails, or acts as a tunnel. */
export type FakeAnswer =
  | { readonly stdout: string; readonly error: string }
  | { readonly tunnelTo: TunnelTarget };

/** The bearer token of the fake nodes, which the fake Secret Manager holds too. */
export const FAKE_TOKEN = 'sesame';

const SHIM = fileURLToPath(new URL('fake-gcloud.ts', import.meta.url));
const ZONE = 'europe-west4-a';

/**
 * An instance group of fake nodes, and a `gcloud` for the PATH that knows only this group. The nodes' addresses are not
 * reachable: only tunnels lead to them. The replacement of a machine has another name.
 */
export class FakeCloud implements AsyncDisposable {
  readonly nodes: FakeNode[] = [];
  /** The existing templates. */
  readonly templates = ['oldest', 'older', 'newest'];
  /** The calls of gcloud, without options. */
  readonly asked: string[] = [];
  /** The processes of the tunnels that were opened, in order. */
  readonly tunnels: { readonly instance: string; readonly pid: number }[] = [];
  /** Whether each node had ended when it was replaced, in order. */
  readonly hadEnded: boolean[] = [];
  /** Answers calls for a test. */
  intercept: (args: readonly string[]) => FakeAnswer | undefined = () => undefined;
  readonly #folder: string;
  readonly #server: Server;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer(async (request, response) => {
      const { args, pid } = (await json(request)) as { args: string[]; pid: number };
      response.end(JSON.stringify(await this.#answer(args.slice(1), pid)));
    });
  }

  static async start(count: number): Promise<FakeCloud> {
    const folder = await mkdtemp(`${tmpdir()}/fake-gcloud-`);
    await writeFile(`${folder}/gcloud`, `#!/bin/sh\nexec '${process.execPath}' '${SHIM}' "$@"\n`);
    await chmod(`${folder}/gcloud`, 0o755);
    const cloud = new FakeCloud(folder);
    for (let i = 1; i <= count; i += 1) await cloud.#add(`edge-${i}`);
    const server = cloud.#server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return cloud;
  }

  /** The environment that makes a process find this gcloud and no other. */
  get environment(): Readonly<Record<string, string>> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      PATH: `${this.#folder}:${process.env.PATH}`,
      FAKE_CLOUD_URL: `http://127.0.0.1:${port}`,
    };
  }

  /** The tunnels whose processes exist. */
  get openTunnels(): readonly string[] {
    return this.tunnels.filter(({ pid }) => isAlive(pid)).map(({ instance }) => instance);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #add(name: string): Promise<void> {
    this.nodes.push(await FakeNode.start(name, FAKE_TOKEN));
  }

  async #answer(args: readonly string[], pid: number): Promise<FakeAnswer> {
    const words = args.filter((arg) => !arg.startsWith('--'));
    this.asked.push(words.join(' '));
    const intercepted = this.intercept(args);
    if (intercepted !== undefined) return intercepted;
    const named = args.find((arg) => arg.startsWith('--instances='))?.slice('--instances='.length);
    switch (words.slice(0, -1).join(' ')) {
      case 'compute instance-groups managed list-instances':
        return print(
          this.nodes.map(({ name }) => ({
            instance: `${zoneUrl()}/instances/${name}`,
            instanceStatus: 'RUNNING',
            currentAction: 'NONE',
            version: { instanceTemplate: templateUrl(name.includes('new') ? 'newest' : 'older') },
          })),
        );
      case 'compute instances':
        return print(this.nodes.map(({ name }) => machine(name)));
      case 'compute instance-groups managed update-instances':
        await this.#replace(named ?? '');
        return print([]);
      case 'compute instance-groups managed delete-instances':
        await this.#remove(named ?? '');
        return print([]);
      case 'compute instance-groups managed describe':
        return print({
          targetSize: this.nodes.length,
          versions: [{ instanceTemplate: templateUrl('newest') }],
        });
      case 'compute instance-groups managed resize':
        await this.#grow(Number(args.find((arg) => arg.startsWith('--size='))?.slice(7)));
        return print([]);
      case 'compute instance-templates':
        return { stdout: this.templates.map((name) => `${name}\n`).join(''), error: '' };
      case 'compute instance-templates delete':
        this.templates.splice(this.templates.indexOf(words.at(-1) ?? ''), 1);
        return print([]);
      case 'secrets versions list':
        return { stdout: '1\n', error: '' };
      case 'secrets versions access':
        return { stdout: FAKE_TOKEN, error: '' };
      default: {
        const node = this.nodes.find(({ name }) => name === words[2]);
        if (words[1] !== 'start-iap-tunnel' || node === undefined) {
          return { stdout: '', error: `unknown: ${args.join(' ')}` };
        }
        this.tunnels.push({ instance: node.name, pid });
        return { tunnelTo: { host: '127.0.0.1', port: node.port } };
      }
    }
  }

  async #remove(name: string): Promise<void> {
    const at = this.nodes.findIndex((node) => node.name === name);
    const [old] = this.nodes.splice(at, 1);
    this.hadEnded.push(old?.isRunning === false);
    await old?.stop();
  }

  async #grow(size: number): Promise<void> {
    for (let i = 1; this.nodes.length < size; i += 1) await this.#add(`edge-new-${i}`);
  }

  async #replace(name: string): Promise<void> {
    const at = this.nodes.findIndex((node) => node.name === name);
    const [old] = this.nodes.splice(at, 1);
    this.hadEnded.push(old?.isRunning === false);
    await old?.stop();
    await this.#add(`${name}-new`);
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function print(value: unknown): FakeAnswer {
  return { stdout: JSON.stringify(value), error: '' };
}

function templateUrl(name: string): string {
  return `https://www.googleapis.com/compute/v1/projects/p/regions/europe-west4/instanceTemplates/${name}`;
}

function zoneUrl(): string {
  return `https://www.googleapis.com/compute/v1/projects/p/zones/${ZONE}`;
}

function machine(name: string) {
  // From a block that is reserved for documentation: nobody answers there.
  const networkInterfaces = [{ networkIP: '192.0.2.1' }];
  return { name, status: 'RUNNING', zone: zoneUrl(), networkInterfaces };
}
