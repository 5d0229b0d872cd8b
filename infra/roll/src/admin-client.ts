import { DIRECTLY, type FleetNode, type Reach } from './reach.ts';

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

/** How far apart the tokens are read again, in ms: not at each refusal. */
const REREAD_AFTER_MS = 5_000;

const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

/** Talks to the admin ports of nodes, with the token that each of them knows. */
export class AdminClient {
  readonly #reread: () => Promise<readonly string[]>;
  readonly #reach: Reach;
  /** Newest first. Those that were known before stay: nodes know them until they are replaced. */
  #tokens: readonly string[];
  #rereadAt = Number.NEGATIVE_INFINITY;
  /** The latest reading; it may be under way. */
  #rereading: Promise<void> = Promise.resolve();
  /** By a node's name, the token that it took last. */
  readonly #taken = new Map<string, string>();

  /**
   * @param tokens those that nodes may know, the newest first; none where they ask for none.
   * @param reach what leads to the nodes; its owner ends it.
   * @param reread reads the tokens again, when a node has refused all of them: one may be changed during a roll.
   */
  constructor(
    tokens: readonly string[] = [],
    reach: Reach = DIRECTLY,
    reread: () => Promise<readonly string[]> = async () => tokens,
  ) {
    this.#tokens = tokens;
    this.#reach = reach;
    this.#reread = reread;
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

  /** Whether a node takes one of the tokens. Rejects when it does not answer. */
  async takesToken(node: FleetNode): Promise<boolean> {
    // What an edge and an ingest both have, and show to nobody else.
    const response = await this.#answer(node, 'GET', '/metrics');
    await response.body?.cancel();
    return response.status !== UNAUTHORIZED;
  }

  /**
   * How many clients a node holds. Undefined where it is of a kind that holds none, such as an ingest. Rejects when it
   * does not say.
   */
  async connections(node: FleetNode): Promise<number | undefined> {
    const response = await this.#answer(node, 'GET', '/debug/index');
    if (response.status === NOT_FOUND) return undefined;
    const answer = await expectDone(node, 'GET', '/debug/index', response).json();
    const { connections } = answer as { readonly connections?: number };
    if (typeof connections !== 'number') throw new Error(`${node.name} tells no connections`);
    return connections;
  }

  /** Has a node send clients to other nodes. Rejects when it does not agree to. */
  async shed(node: FleetNode, count: number, overSeconds: number): Promise<void> {
    await this.#expect(node, 'POST', `/shed?count=${count}&overSeconds=${overSeconds}`);
  }

  async #expect(node: FleetNode, method: 'GET' | 'POST', path: string): Promise<void> {
    expectDone(node, method, path, await this.#answer(node, method, path));
  }

  async #answer(node: FleetNode, method: 'GET' | 'POST', path: string): Promise<Response> {
    try {
      return await this.#askWithToken(node, method, path);
    } catch (error) {
      throw new UnansweredError(`${node.name}: ${method} ${path} failed: ${causeOf(error)}`);
    }
  }

  /** Tries the tokens until one is taken; what was refused for its token has not been carried out. */
  async #askWithToken(node: FleetNode, method: 'GET' | 'POST', path: string): Promise<Response> {
    const tried = new Set<string>();
    for (;;) {
      const untried = await this.#nextToken(node, tried);
      const response = await this.#ask(node, method, path, untried);
      if (response.status !== UNAUTHORIZED || untried === undefined) {
        if (untried !== undefined) this.#taken.set(node.name, untried);
        return response;
      }
      tried.add(untried);
    }
  }

  /** The token to try next: the one that the node took last, then the newest. Undefined when none is left. */
  async #nextToken(node: FleetNode, tried: ReadonlySet<string>): Promise<string | undefined> {
    const find = () => {
      const candidates = [this.#taken.get(node.name), ...this.#tokens];
      return candidates.find((token) => token !== undefined && !tried.has(token));
    };
    const known = find();
    if (known !== undefined || tried.size === 0) return known;
    if (performance.now() - this.#rereadAt >= REREAD_AFTER_MS) {
      this.#rereadAt = performance.now();
      this.#rereading = this.#readAgain();
    }
    // Nodes are asked side by side: all that refuse wait for the same tokens.
    await this.#rereading;
    return find();
  }

  async #readAgain(): Promise<void> {
    this.#tokens = [...new Set([...(await this.#reread()), ...this.#tokens])];
  }

  async #ask(
    node: FleetNode,
    method: 'GET' | 'POST',
    path: string,
    token?: string,
  ): Promise<Response> {
    const url = await this.#reach.urlOf(node);
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    const headers: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` };
    return await fetch(url + path, { method, headers, signal });
  }
}

function expectDone(node: FleetNode, method: string, path: string, response: Response): Response {
  if (response.ok) return response;
  throw new Error(`${node.name}: ${method} ${path} answered ${response.status}`);
}

function causeOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
