import { DIRECTLY, type FleetNode, type Reach } from './reach.ts';

/** The answer of a node's `/readyz`, or that there was none. */
export type NodeState =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unready'; readonly reasons: readonly string[] }
  | { readonly kind: 'unreachable'; readonly cause: string };

/** There was no answer. The node may have executed the request all the same. */
export class UnansweredError extends Error {
  override readonly name = 'UnansweredError';
}

/** How long an admin port may take to answer, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

/** The shortest time between two readings of the tokens, in ms. */
const REREAD_AFTER_MS = 5_000;

const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

/** Talks to the admin ports of nodes, with the token that each of them accepts. */
export class AdminClient {
  readonly #reread: () => Promise<readonly string[]>;
  readonly #reach: Reach;
  /** Newest first. Older tokens stay, because nodes accept them until they are replaced. */
  #tokens: readonly string[];
  #rereadAt = Number.NEGATIVE_INFINITY;
  /** The latest reading, which may still be in progress. */
  #rereading: Promise<void> = Promise.resolve();
  /** The last token that each node accepted, by the node's name. */
  readonly #taken = new Map<string, string>();

  /**
   * @param tokens tokens that nodes may accept, the newest first; empty if admin ports require none.
   * @param reach the way to the nodes; its owner ends it.
   * @param reread reads the tokens again after a node has refused all of them: a token may be changed during a roll.
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

  /** Begins the drain; a second call does nothing. Rejects if the node does not accept. */
  async drain(node: FleetNode): Promise<void> {
    await this.#expect(node, 'POST', '/drain');
  }

  /** Whether a node accepts one of the tokens. Rejects if it does not answer. */
  async takesToken(node: FleetNode): Promise<boolean> {
    // Edge and ingest both have this path, and both require the token for it.
    const response = await this.#answer(node, 'GET', '/metrics');
    await response.body?.cancel();
    return response.status !== UNAUTHORIZED;
  }

  /**
   * The number of clients of a node. Undefined if it is of a kind that has none, such as ingest. Rejects if it does not
   * answer.
   */
  async connections(node: FleetNode): Promise<number | undefined> {
    const response = await this.#answer(node, 'GET', '/debug/index');
    if (response.status === NOT_FOUND) return undefined;
    const answer = await expectDone(node, 'GET', '/debug/index', response).json();
    const { connections } = answer as { readonly connections?: number };
    if (typeof connections !== 'number')
      throw new Error(`${node.name} does not report its connections`);
    return connections;
  }

  /** Makes a node send clients to other nodes. Rejects if it does not accept. */
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

  /** Tries the tokens until one is accepted. A request that was refused for its token has not been executed. */
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

  /** The token to try next: the one that the node accepted last, then the newest. Undefined if none is left. */
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
    // Nodes are queried in parallel: all that refuse wait for the same reading.
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
