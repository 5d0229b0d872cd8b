/** One trade to publish. */
export interface Trade {
  readonly symbol: string;
  /** Unique within its symbol. */
  readonly id: string;
  readonly price: string;
  /** The JSON object that ingest is given, on one line. */
  readonly line: string;
}

/** Where the trades come from, at their own pace. */
export interface TradeSource {
  /** What the view calls it; synthetic trades are named so. */
  readonly label: string;
  readonly symbols: readonly string[];
  /**
   * The trades that are due and were not taken yet, oldest first, at most `most`; undefined when
   * no more will come.
   *
   * @param elapsedMs time since the feed began, in ms; never less than before.
   */
  take(elapsedMs: number, most: number): Promise<readonly Trade[] | undefined>;
  /** Makes `count` more trades due at once; missing where only recorded ones come. */
  burst?(count: number): void;
  /** Lets go of what it reads from. */
  close(): Promise<void>;
}
