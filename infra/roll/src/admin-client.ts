import { DIRECTLY, type Reach } from './reach.ts';

/** A node, by its name and where its admin port is. */
export interface FleetNode {
  readonly name: string;
  /** E.g. `http://10.0.0.4:9080`, without a slash at its end: the node's own, whatever leads there. */
  readonly adminUrl: string;
  /** Where a machine of an instance group runs, e.g. `europe-west4-a`. */
  readonly zone?: string;
}

/** What a node's `/readyz` says, or that nobody answers. */
export type NodeState =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unready'; readonly reasons: readonly string[] }
  | { readonly kind: 'unreachable'; readonly cause: string };

/** Nobody answered: the node may have done what it was asked all the same. */
export class UnansweredError extends Error {
  override readonly name = 'UnansweredError';
}

/** How long an admin port may take to answer, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

/** Talks to the admin ports of nodes. */
export class AdminClient {
  readonly #headers: Readonly<Record<string, string>>;
  readonly #reach: Reach;

  /**
   * @param token the bearer token of all of them, or undefined where they have none.
   * @param reach what leads to them; its owner ends it.
   */
  constructor(token: string | undefined, reach: Reach = DIRECTLY) {
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#reach = reach;
  }

  /** Never rejects. */
  async state(node: FleetNode): Promise<NodeState> {
    try {
      const response = await this.#ask(node, 'GET', '/readyz');
      if (response.ok) return { kind: 'ready' };
      const { reasons } = (await response.json()) as { readonly reasons?: readonly string[] };
      return { kind: 'unready', reasons: reasons ?? [`status ${response.status}`] };
    } catch (error) {
      return { kind: 'unreachable', cause: causeOf(error) };
    }
  }

  /** Begins the drain; once more does nothing. Rejects when the node does not agree to. */
  async drain(node: FleetNode): Promise<void> {
    await this.#expect(node, 'POST', '/drain');
  }

  /** How many clients a node holds. Rejects when it does not say. */
  async connections(node: FleetNode): Promise<number> {
    const response = await this.#expect(node, 'GET', '/debug/index');
    const { connections } = (await response.json()) as { readonly connections?: number };
    if (typeof connections !== 'number') throw new Error(`${node.name} tells no connections`);
    return connections;
  }

  /** Has a node send clients to other nodes. Rejects when it does not agree to. */
  async shed(node: FleetNode, count: number, overSeconds: number): Promise<void> {
    await this.#expect(node, 'POST', `/shed?count=${count}&overSeconds=${overSeconds}`);
  }

  async #expect(node: FleetNode, method: 'GET' | 'POST', path: string): Promise<Response> {
    let response: Response;
    try {
      response = await this.#ask(node, method, path);
    } catch (error) {
      throw new UnansweredError(`${node.name}: ${method} ${path} failed: ${causeOf(error)}`);
    }
    if (!response.ok) {
      throw new Error(`${node.name}: ${method} ${path} answered ${response.status}`);
    }
    return response;
  }

  async #ask(node: FleetNode, method: 'GET' | 'POST', path: string): Promise<Response> {
    const url = await this.#reach.urlOf(node);
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    return await fetch(url + path, { method, headers: this.#headers, signal });
  }
}

function causeOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
