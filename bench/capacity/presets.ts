import type { SubscriptionMode } from '../load/clients/subscription-plan.ts';

/** The settings of a preset; each can be overridden by the environment. */
export interface Preset {
  readonly connections: number;
  /** Connections opened a second. */
  readonly rampRate: number;
  /** How long the publisher publishes, in s. */
  readonly duration: number;
  readonly mode: SubscriptionMode;
  readonly channelsPerClient: number;
  readonly channels: number;
  /** Publications a second, over all channels. */
  readonly publishRate: number;
}

/** Five minutes: enough for several heap collections, heartbeats and runs of every timer. */
const FIVE_MINUTES = 300;

/** Connections opened a second in runs of very many clients. */
export const BIG_RAMP_RATE = 1_000;

/** The default if no preset is named: it shows within a minute whether everything works. */
export const TRIAL: Preset = {
  connections: 1_000,
  rampRate: 500,
  duration: 30,
  mode: 'random',
  channelsPerClient: 1,
  channels: 5,
  publishRate: 25,
};

/** Named loads. The comment of each names its deliveries. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  /** 35,000 deliveries/s, 5 to each client. */
  stability: {
    ...TRIAL,
    connections: 7_000,
    duration: FIVE_MINUTES,
    mode: 'all',
    publishRate: 5,
  },
  /** 35,000 deliveries/s, 5 to each client, a fifth of the clients each time. */
  realistic: { ...TRIAL, connections: 7_000, duration: FIVE_MINUTES },
  /** 30,000 deliveries/s, 2 to each client. */
  high: {
    ...TRIAL,
    connections: 15_000,
    rampRate: BIG_RAMP_RATE,
    duration: FIVE_MINUTES,
    channels: 10,
    publishRate: 20,
  },
  /** 40,000 deliveries/s, 1 to each client. */
  ultimate: {
    ...TRIAL,
    connections: 40_000,
    rampRate: BIG_RAMP_RATE,
    duration: FIVE_MINUTES,
    channels: 10,
    publishRate: 10,
  },
};
