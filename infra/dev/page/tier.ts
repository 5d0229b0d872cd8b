/** What `npm start` tells the page of its tier, as `demo-server.ts` sends it. */
export interface Tier {
  readonly nodes: readonly TierNode[];
  readonly redis: { readonly condition: 'ready' | 'frozen'; readonly canFreeze: boolean };
  readonly canBurst: boolean;
  readonly channels: readonly string[];
  readonly published: number;
  readonly consoleUrl: string;
}

export interface TierNode {
  readonly name: string;
  readonly wsUrl: string;
  readonly condition: 'ready' | 'draining' | 'down' | 'starting';
  /** Missing while the node does not answer. */
  readonly clients?: number;
  readonly messagesPerSecond?: number;
}

/** Returns the tier as it is now; undefined if `npm start` does not answer. */
export async function readTier(): Promise<Tier | undefined> {
  try {
    const answer = await fetch('/v1/tier');
    return answer.ok ? ((await answer.json()) as Tier) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Asks `npm start` to do something to its own tier.
 *
 * @param action such as `nodes/edge-1/kill`.
 * @returns why it was not done; undefined if it was.
 */
export async function act(action: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`/v1/${action}`, { method: 'POST' });
    if (answer.ok) return undefined;
    const { error } = (await answer.json()) as { error?: { message?: string } };
    return error?.message ?? `npm start answered ${answer.status}`;
  } catch {
    return 'npm start does not answer';
  }
}
