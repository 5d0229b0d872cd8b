import { readFileSync } from 'node:fs';

/**
 * What the scripts share: how a channel's `meta` is read, how an epoch is made, how a refusal is worded. Stands in
 * front of a script's own function, in EVAL and in a function library alike.
 */
export const CHANNEL_LUA = readFileSync(new URL('./lua/channel.lua', import.meta.url), 'utf8');

/** Defines `publish(keys, args)`, which publishes with an offset and a history. */
export const PUBLISH_FUNCTION_LUA = readFileSync(
  new URL('./lua/publish.lua', import.meta.url),
  'utf8',
);

/** Defines `start_epoch(keys, args)`, which starts a new epoch if the present one is the expected one. */
export const EPOCH_FUNCTION_LUA = readFileSync(
  new URL('./lua/start-epoch.lua', import.meta.url),
  'utf8',
);
