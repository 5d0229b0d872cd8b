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
