/** How the publisher of a measurement publishes. */
export type PublishWay =
  | { readonly kind: 'plain' }
  /** By the publish script. */
  | {
      readonly kind: 'script';
      /** Publications that a channel's history keeps; 0: none. */
      readonly historySize: number;
      /** Whether each publication has an idempotency key of its own. */
      readonly keys: boolean;
    };

/** What to publish, as fast as it is answered. */
export interface PublishRun {
  readonly way: PublishWay;
  readonly payloadBytes: number;
  readonly channels: readonly string[];
  /** Publications on their way at the same time. */
  readonly inFlight: number;
  readonly seconds: number;
}

/** What became of it. */
export interface PublishTotals {
  readonly published: number;
  /** From the first publication to the last answer. */
  readonly seconds: number;
  /** CPU time of the publisher meanwhile, user and system. */
  readonly cpuSeconds: number;
}

/** What the process can be asked. */
export type PublishCostCalls = {
  /** Connects to this Redis. */
  connect: { argument: string; result: undefined };
  run: { argument: PublishRun; result: PublishTotals };
};
