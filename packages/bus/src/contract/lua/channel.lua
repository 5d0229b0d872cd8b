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
