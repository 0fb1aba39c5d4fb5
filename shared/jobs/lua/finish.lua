-- Ends a batch of attempts of one handler.
-- KEYS: running set, waiting set, dead set, cancelling set, log, prefix of the minutes, then the job hash of each
--   attempt.
-- ARGV[1]: msgpack {handler, worker, result_ttl_ms, dead_ttl_ms, attempts}, where an attempt is
--   {event_id, attempt, state, wait_ms, counts, fields, ended}: wait_ms before the next one (state retrying),
--   counts 0 when the attempt is not to be counted, fields flat name, value, ... for the hash, ended the record
--   of this attempt as JSON or ''.
-- Returns 1 for each attempt that ended so, 0 for each that is not this worker's any more (fenced).
local a = cmsgpack.unpack(ARGV[1])
local handler, worker, result_ttl_ms, dead_ttl_ms, attempts = a[1], a[2], a[3], a[4], a[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local COUNTS_KEPT_S = 600
local verdicts, changes, over = {}, {}, {}

for i = 1, #attempts do
  local event_id, attempt, state, wait_ms, counts, fields, ended = unpack(attempts[i])
  local key = KEYS[6 + i]
  local job = redis.call('HMGET', key, 'state', 'attempt', 'worker', 'attempts', 'cancel_requested')
  local mine = job[3] == worker and tonumber(job[2]) == attempt
  if mine and job[1] == 'running' then
    if job[5] then
      redis.call('SREM', KEYS[4], event_id)
      -- It was to be cancelled and did not end: it shall not run again.
      if state == 'retrying' or state == 'queued' then state, counts = 'cancelled', 1 end
    end
    local counted = counts == 1 and attempt or attempt - 1
    if ended ~= '' then
      redis.call('HSET', key, 'attempts', job[4] and (job[4] .. '\n' .. ended) or ended)
    end
    over[#over + 1] = event_id
    if state == 'retrying' then
      redis.call('HSET', key, 'state', state, 'attempt', counted, 'due_at', now + wait_ms, unpack(fields))
      redis.call('ZADD', KEYS[2], now + wait_ms, event_id)
    elseif state == 'queued' then
      redis.call('HSET', key, 'state', state, 'attempt', counted, unpack(fields))
    else
      redis.call('HSET', key, 'state', state, 'attempt', counted, 'finished_at', now, unpack(fields))
      redis.call('PEXPIRE', key, state == 'succeeded' and result_ttl_ms or dead_ttl_ms)
      if state == 'dead' then redis.call('ZADD', KEYS[3], now, event_id) end
    end
    changes[#changes + 1] = {event_id, state, attempt}
    verdicts[i] = 1
  else
    -- The same call again (its reply was lost) finds its own work done.
    verdicts[i] = (mine and (job[1] == state or job[1] == 'cancelled')) and 1 or 0
  end
end

if #changes > 0 then
  redis.call('ZREM', KEYS[1], unpack(over))
  local minute = KEYS[6] .. math.floor(now / 60000)
  redis.call('HINCRBY', minute, 'ended', #changes)
  redis.call('EXPIRE', minute, COUNTS_KEPT_S)
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', 100000, '*', 'h', handler, 'c', cjson.encode(changes))
end
return verdicts
