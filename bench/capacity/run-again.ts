import { PRESETS, type Preset, TRIAL } from './presets.ts';
import type { CapacitySettings } from './settings.ts';

/** What a setting is by default, if not by the preset; `settings.ts` has the same ones. */
const DEFAULTS = {
  PAYLOAD_BYTES: 150,
  HISTORY_SIZE: 0,
  WIRE: 'v1',
  SLOW_SHARE: 0,
  STALLED_SHARE: 0,
  SLOW_BYTES_PER_SECOND: 2_000,
  SAMPLE_EVERY: 20,
  SEED: 1,
  MIN_SUCCESS_RATE: 99,
  MAX_P99_MS: 1_000,
};

/** Characters that mean nothing to a shell. */
const HARMLESS = /^[A-Za-z0-9_.,:/@%+=-]+$/;

/**
 * The command that makes the same run again, with the settings that differ from the defaults. It holds no secret: the Redis of a remote
 * target and tokens must be set again.
 */
export function runAgainCommand(settings: CapacitySettings): string {
  const variables = Object.entries(variablesOf(settings)).map(
    ([name, value]) => `${name}=${HARMLESS.test(value) ? value : quoted(value)}`,
  );
  const preset = settings.name === 'trial' ? [] : ['--', settings.name];
  return [...variables, 'npm', 'run', 'capacity', ...preset].join(' ');
}

/** The variables of the command, with their values as a shell gives them. */
export function variablesOf(settings: CapacitySettings): Record<string, string> {
  const preset = PRESETS[settings.name] ?? TRIAL;
  return {
    ...differing(presetVariables(settings), presetVariables(preset)),
    ...differing(
      {
        PAYLOAD_BYTES: settings.payloadBytes,
        HISTORY_SIZE: settings.historySize,
        WIRE: settings.wire,
        SLOW_SHARE: settings.slowShare,
        STALLED_SHARE: settings.stalledShare,
        SLOW_BYTES_PER_SECOND: settings.slowBytesPerSecond,
        SAMPLE_EVERY: settings.sampleEvery,
        SEED: settings.seed,
        MIN_SUCCESS_RATE: Math.round(settings.minSuccessRate * 100),
        MAX_P99_MS: settings.maxP99Ms,
      },
      DEFAULTS,
    ),
    LOAD_PROCESSES: String(Math.ceil(settings.connections / settings.connectionsPerProcess)),
    ...targetVariables(settings.target),
  };
}

function presetVariables(preset: Preset): Record<string, string | number> {
  return {
    TARGET_CONNECTIONS: preset.connections,
    RAMP_RATE: preset.rampRate,
    DURATION: preset.duration,
    SUBSCRIPTION_MODE: preset.mode,
    CHANNELS_PER_CLIENT: preset.channelsPerClient,
    CHANNELS: preset.channels,
    PUBLISH_RATE: preset.publishRate,
  };
}

function targetVariables(target: CapacitySettings['target']): Record<string, string> {
  return target.kind === 'local'
    ? { EDGES: String(target.edges), ...target.environment }
    : { TARGET_URLS: target.urls.join(','), REDIS_URL: '…' };
}

function differing(
  values: Readonly<Record<string, string | number>>,
  from: Readonly<Record<string, string | number>>,
): Record<string, string> {
  const changed = Object.entries(values).filter(([name, value]) => value !== from[name]);
  return Object.fromEntries(changed.map(([name, value]) => [name, String(value)]));
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
