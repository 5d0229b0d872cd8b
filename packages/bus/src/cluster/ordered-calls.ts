import { RedisRefusedError, RedisUnavailableError } from '../redis-errors.ts';
import { MAX_REDIRECTS } from '../redis-limits.ts';
import { type Redirect, readRedirect } from './redirect.ts';

/** Where a call goes. */
export interface Target<Node> {
  readonly node: Node;
  /** Whether it must be preceded by ASKING. */
  readonly isAsking: boolean;
}

/** Knows the nodes. */
export interface Router<Node> {
  /** The node that owns the slot of a key. @throws {RedisUnavailableError} if none is known. */
  ownerOf(key: string): Node;
  /** Takes note of what `node` answered, and returns where to go. @throws {RedisUnavailableError} as {@link ownerOf}. */
  follow(redirect: Redirect, node: Node, key: string): Target<Node>;
}

interface Call<Node> {
  /** Sends it before it returns. */
  readonly send: (target: Target<Node>) => Promise<unknown>;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  redirects: number;
}

/** The calls of one key. It exists while one of them is under way. */
interface Lane<Node> {
  /** The node that has the calls in flight. */
  node: Node;
  inFlight: number;
  redirect: Redirect | undefined;
  /** Calls that were sent to another node and not executed, in their order; the waiting ones come after them. */
  readonly refused: Call<Node>[];
  readonly waiting: Call<Node>[];
}

/**
 * Calls that change what a key holds. Those of one key are executed in their order, also while its slot moves: a call that is
 * sent to another node is not overtaken by later ones, which wait until all in flight are answered.
 */
export class OrderedCalls<Node> {
  readonly #router: Router<Node>;
  readonly #lanes = new Map<string, Lane<Node>>();

  constructor(router: Router<Node>) {
    this.#router = router;
  }

  /** @param send must send the call before it returns; it may be called again after a redirect. */
  call<T>(key: string, send: (target: Target<Node>) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call<Node> = {
        ...{ send, reject, redirects: 0 },
        resolve: (reply) => resolve(reply as T),
      };
      const lane = this.#lanes.get(key);
      try {
        const node = this.#router.ownerOf(key);
        if (lane === undefined) {
          this.#send(key, this.#open(key, node), call, { node, isAsking: false });
        } else if (mustWait(lane, node)) {
          lane.waiting.push(call);
        } else {
          this.#send(key, lane, call, { node, isAsking: false });
        }
      } catch (error) {
        reject(error);
      }
    });
  }

  #open(key: string, node: Node): Lane<Node> {
    const lane = { node, inFlight: 0, redirect: undefined, refused: [], waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  #send(key: string, lane: Lane<Node>, call: Call<Node>, target: Target<Node>): void {
    lane.inFlight += 1;
    lane.node = target.node;
    call.send(target).then(
      (reply) => {
        call.resolve(reply);
        this.#answered(key, lane);
      },
      (error: unknown) => {
        const redirect =
          error instanceof RedisRefusedError ? readRedirect(error.message) : undefined;
        if (redirect === undefined) {
          call.reject(error);
        } else if (call.redirects === MAX_REDIRECTS) {
          call.reject(new RedisUnavailableError('not-sent', `redirected ${call.redirects} times`));
        } else {
          call.redirects += 1;
          lane.redirect = redirect;
          lane.refused.push(call);
        }
        this.#answered(key, lane);
      },
    );
  }

  #answered(key: string, lane: Lane<Node>): void {
    lane.inFlight -= 1;
    if (lane.inFlight > 0) return;
    const calls = [...lane.refused.splice(0), ...lane.waiting.splice(0)];
    if (calls.length === 0) {
      this.#lanes.delete(key);
      return;
    }
    const { redirect } = lane;
    lane.redirect = undefined;
    try {
      const target =
        redirect === undefined
          ? { node: this.#router.ownerOf(key), isAsking: false }
          : this.#router.follow(redirect, lane.node, key);
      for (const call of calls) this.#send(key, lane, call, target);
    } catch (error) {
      this.#lanes.delete(key);
      for (const call of calls) call.reject(error);
    }
  }
}

function mustWait<Node>(lane: Lane<Node>, node: Node): boolean {
  return lane.refused.length > 0 || lane.waiting.length > 0 || lane.node !== node;
}
