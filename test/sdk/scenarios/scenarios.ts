import { CHANCE_SCENARIOS } from './chance.ts';
import { CHANNEL_SCENARIOS } from './channels.ts';
import { CONNECTION_SCENARIOS } from './connections.ts';
import { CONSUMER_SCENARIOS } from './consumers.ts';
import type { Scenario } from './scenario.ts';
import { TOKEN_SCENARIOS } from './tokens.ts';

export type { Scenario } from './scenario.ts';

/** All of them, by their numbers. */
export const SCENARIOS: readonly Scenario[] = [
  ...CONNECTION_SCENARIOS,
  ...TOKEN_SCENARIOS,
  ...CHANNEL_SCENARIOS,
  ...CONSUMER_SCENARIOS,
  ...CHANCE_SCENARIOS,
].toSorted((a, b) => a.number - b.number);
