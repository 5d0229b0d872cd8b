import { CHANNEL_LUA } from './channel-lua.ts';
import { defineScript, UnexpectedReplyError } from './script.ts';

/** What became of an attempt to start a new epoch. */
export interface EpochStart {
  /** Whether this call started it. If not, the epoch was another than expected already. */
  readonly changed: boolean;
  /** The epoch that the channel has now; empty when it has none. */
  readonly epoch: string;
  /** The channel's last offset, which a new epoch goes on from; 0 when the channel has none. */
  readonly offset: number;
}

/**
 * The function that starts a new epoch if nobody else has, in Lua. KEYS: meta and log; ARGV: the
 * epoch that the caller has seen, or nothing when it has seen no meta. Answers changed (0 or 1),
 * epoch, offset.
 */
export const EPOCH_FUNCTION_LUA = `\
local function start_epoch(keys, args)
  if #keys ~= 2 or #args ~= 1 then return refuse('TWARG', 'needs 2 keys and 1 argument') end
  local meta_key, log_key, expected = keys[1], keys[2], args[1]
  local tag = string.match(meta_key, '^({[A-Za-z0-9][A-Za-z0-9_.:/@%-]*}):meta$')
  if not tag or log_key ~= tag .. ':log' then
    return refuse('TWARG', 'the keys must be {<channel>}:meta and {<channel>}:log')
  end

  local refusal, epoch, offset = read_position(meta_key)
  if refusal then return refusal end
  refusal = check_log(log_key)
  if refusal then return refusal end
  if (epoch or '') ~= expected then return { 0, epoch or '', offset or 0 } end
  if not may('SET', meta_key, '') or (not epoch and not may('DEL', log_key)) then
    return refuse('NOPERM', 'this user may not write the keys of ' .. tag)
  end

  local started = new_epoch(redis.call('TIME'), epoch)
  -- The first write is one that Redis refuses when it is full, as DEL is not.
  local written = redis.pcall('SET', meta_key, started .. ':' .. digits(offset or 0))
  if written.err then return written end
  if not epoch then redis.call('DEL', log_key) end
  return { 1, started, offset or 0 }
end
`;

/** The text that EVAL takes and whose SHA-1 EVALSHA takes. */
export const EPOCH_SCRIPT = defineScript(
  'tradewind_epoch_1',
  `-- tradewind_epoch_1: starts a new epoch if the present one is the expected one.\n${CHANNEL_LUA}\n${EPOCH_FUNCTION_LUA}\nreturn start_epoch(KEYS, ARGV)\n`,
);

/** @throws {UnexpectedReplyError} when it is not the answer of this script. */
export function readEpochReply(reply: unknown): EpochStart {
  if (!Array.isArray(reply)) throw new UnexpectedReplyError(EPOCH_SCRIPT.name);
  const [changed, epoch, offset] = reply as unknown[];
  if (typeof epoch !== 'string' || typeof offset !== 'number')
    throw new UnexpectedReplyError(EPOCH_SCRIPT.name);
  return { changed: changed === 1, epoch, offset };
}
