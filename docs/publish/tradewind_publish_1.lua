-- The scripts of Tradewind, version 1. docs/publishing.md says how they are called.
-- EVAL and SCRIPT LOAD take this file as it is: it publishes with an offset and a history.
-- FUNCTION LOAD takes it with this line before it, and it is then a library of two functions:
-- #!lua name=tradewind_functions_1

local MAX_OFFSET = 9007199254740991 -- 2^53-1, so that every client can hold it in a double

local function refuse(code, reason)
  return redis.error_reply(code .. ' ' .. reason)
end

-- Lua prints 100000000000000 as 1e+14.
local function digits(number)
  return string.format('%.0f', number)
end

-- The number that a text spells in digits, or nil when it is none or out of range.
local function integer(text, least, most)
  if #text > 16 or not string.find(text, '^[0-9]+$') then return nil end
  local number = tonumber(text)
  if number < least or number > most then return nil end
  return number
end

-- Redis before 7 cannot tell; there a right that is missing shows only when it is needed.
local function may(...)
  return not redis.acl_check_cmd or redis.acl_check_cmd(...)
end

-- The string at a key: refusal, value. A missing key has the value false.
local function read_string(key)
  if not may('GET', key) then return refuse('NOPERM', 'this user may not read ' .. key) end
  local value = redis.pcall('GET', key)
  if type(value) ~= 'table' then return nil, value end
  if string.find(value.err, '^WRONGTYPE') then
    return refuse('TWTYPE', key .. ' must be a string')
  end
  -- A node of a Cluster that is giving the slot away cannot tell whether the key never was, or has gone already.
  if string.find(value.err, 'non local key') then
    return refuse('TRYAGAIN', 'the slot of ' .. key .. ' is moving to another node')
  end
  return value
end

-- An "epoch:offset" string at a key: refusal, epoch, offset. A missing key has no epoch.
local function read_position(key)
  local refusal, value = read_string(key)
  if refusal or not value then return refusal end
  local epoch, text = string.match(value, '^([A-Za-z0-9]+):([0-9]+)$')
  local offset = epoch and #epoch <= 16 and integer(text, 0, MAX_OFFSET)
  if not offset then return refuse('TWMETA', key .. ' must hold epoch:offset') end
  return nil, epoch, offset
end

-- A refusal when there is something else than a stream at the key.
local function check_log(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= 'stream' then
    return refuse('TWTYPE', key .. ' must be a stream')
  end
end

-- The microseconds of Redis' clock in base 36: 11 characters until the year 6429.
local function new_epoch(time, old)
  local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
  local microseconds = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local epoch
  repeat
    local rest = microseconds
    epoch = ''
    repeat
      local digit = rest % 36
      epoch = string.sub(DIGITS, digit + 1, digit + 1) .. epoch
      rest = (rest - digit) / 36
    until rest == 0
    microseconds = microseconds + 1
  until epoch ~= old
  return epoch
end

local MAX_HISTORY = 100000

local function publish(keys, args)
  -- Checks. Nothing is written before all of them have passed.
  if #keys ~= 2 or #args < 7 or #args > 8 then
    return refuse('TWARG', 'needs 2 keys and 7 or 8 arguments')
  end
  local channel, payload, once = args[1], args[2], args[5]
  if #channel > 128 or not string.find(channel, '^[A-Za-z0-9][A-Za-z0-9_.:/@%-]*$') then
    return refuse('TWARG', 'the channel must be [A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}')
  end
  if string.sub(channel, 1, 3) == 'tw:' then
    return refuse('TWARG', 'channels that begin with tw: are reserved')
  end
  local tag = '{' .. channel .. '}'
  local meta_key, log_key, once_key = keys[1], keys[2], tag .. ':once:' .. once
  if meta_key ~= tag .. ':meta' or log_key ~= tag .. ':log' then
    return refuse('TWARG', 'the keys must be ' .. tag .. ':meta and ' .. tag .. ':log')
  end
  local size = integer(args[3], 0, MAX_HISTORY)
  if not size then
    return refuse('TWARG', 'the history size must be an integer from 0 to ' .. MAX_HISTORY)
  end
  local ttl = integer(args[4], 0, MAX_OFFSET)
  if not ttl then return refuse('TWARG', 'the history TTL must be ms from 0 to 2^53-1') end
  if #once > 128 then
    return refuse('TWARG', 'the idempotency key must have at most 128 bytes')
  end
  local window = integer(args[6], once == '' and 0 or 1, MAX_OFFSET)
  if not window then
    return refuse('TWARG', 'the window must be ms up to 2^53-1, and with a key at least 1')
  end
  local not_after = integer(args[7], 0, MAX_OFFSET)
  if not not_after then return refuse('TWARG', 'notAfterMs must be ms from 0 to 2^53-1') end
  -- A Cluster sends what comes by SPUBLISH to the shard of the channel, and what comes by PUBLISH to all of its nodes.
  local command = 'PUBLISH'
  if args[8] == 'sharded' then
    command = 'SPUBLISH'
  elseif args[8] and args[8] ~= '' then
    return refuse('TWARG', 'the eighth argument must be empty or "sharded"')
  end

  local refusal, epoch, offset = read_position(meta_key)
  if refusal then return refusal end
  refusal = check_log(log_key)
  if refusal then return refusal end
  if once ~= '' then
    local first_epoch, first_offset
    refusal, first_epoch, first_offset = read_position(once_key)
    if refusal then return refusal end
    -- Before the clock is asked: who repeats a call wants to know that it was published.
    if first_epoch then return { first_epoch, first_offset, 1 } end
  end

  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if not_after > 0 and now > not_after then
    return refuse('TWLATE', 'it is ' .. digits(now - not_after) .. ' ms later than allowed')
  end

  local renewed = not epoch or offset == MAX_OFFSET
  if renewed then
    epoch, offset = new_epoch(time, epoch), 0
  end
  offset = offset + 1

  local clears = renewed or size == 0
  if not may(command, channel, '') then
    return refuse('NOPERM', 'this user may not ' .. command .. ' to ' .. channel)
  end
  if not may('SET', meta_key, '')
    or (clears and not may('DEL', log_key))
    or (size > 0 and not may('XADD', log_key, '*', 'p', ''))
    or (size > 0 and ttl > 0 and not may('PEXPIRE', log_key, '1'))
    or (size > 0 and ttl == 0 and not may('PERSIST', log_key))
    or (once ~= '' and not may('SET', once_key, '', 'PX', '1')) then
    return refuse('NOPERM', 'this user may not write all keys of ' .. channel)
  end

  -- Writes. The first is one that Redis refuses when it is full or a replica (DEL would pass when it
  -- is full); after it, Redis lets a script finish.
  local position = epoch .. ':' .. digits(offset)
  local written = redis.pcall('SET', meta_key, position)
  if written.err then return written end
  if clears then redis.call('DEL', log_key) end
  if size > 0 then
    local id = digits(offset) .. '-0'
    local added = redis.pcall('XADD', log_key, 'MAXLEN', '=', size, id, 't', digits(now), 'p', payload)
    if type(added) == 'table' then
      -- Somebody has set meta back. It is what counts, and the log may have no other offsets than its.
      redis.call('DEL', log_key)
      redis.call('XADD', log_key, id, 't', digits(now), 'p', payload)
    end
    -- As numbers: the texts may begin with zeros, which Redis would refuse after the first write.
    if ttl > 0 then redis.call('PEXPIRE', log_key, digits(ttl)) else redis.call('PERSIST', log_key) end
  end
  if once ~= '' then redis.call('SET', once_key, position, 'PX', digits(window)) end
  redis.call(command, channel, '@1:' .. position .. ':' .. digits(now) .. ';' .. payload)
  return { epoch, offset, 0 }
end

-- Starts a new epoch if the present one is the expected one. Edges call it; a publisher need not.
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

-- Redis has this only while it loads a library.
if redis.register_function then
  redis.register_function('tradewind_publish_1', publish)
  redis.register_function('tradewind_epoch_1', start_epoch)
  return
end

return publish(KEYS, ARGV)
