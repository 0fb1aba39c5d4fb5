-- Queues jobs of one handler again whose messages are gone: into its own queue, or to wait for their instant.
-- KEYS: running set, waiting set, queue, log, then the job hash of each.
-- ARGV[1]: msgpack {handler, service, max_attempts, dead_ttl_ms, jobs}, where a job is {event_id, event, event_type,
--   traceparent, deliver_ms, expires_ms}; '' and 0 stand for not given.
-- Returns 1 for each that was queued; 0 for each that ended, runs, waits or lies in the queue meanwhile, so a call
--   may be repeated. What is known of a job stays: its attempts, and one whose worker died counts when it is claimed.
local a = cmsgpack.unpack(ARGV[1])
local handler, service, max_attempts, dead_ttl_ms, jobs = a[1], a[2], a[3], a[4], a[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local verdicts, changes = {}, {}

local function is_lost(key, event_id)
  local job = redis.call('HMGET', key, 'state', 'queue_entry')
  local state = job[1]
  if state and state ~= 'queued' and state ~= 'retrying' and state ~= 'running' then return false end
  if state == 'running' and tonumber(redis.call('ZSCORE', KEYS[1], event_id) or '0') > now then return false end
  -- A member of the waiting set whose hash is gone is no job any more: who moves what is due drops it.
  if state and redis.call('ZSCORE', KEYS[2], event_id) then return false end
  return not (state and job[2] and #redis.call('XRANGE', KEYS[3], job[2], job[2]) > 0)
end

for i = 1, #jobs do
  local event_id, event, event_type, traceparent, deliver_ms, expires_ms = unpack(jobs[i])
  local key = KEYS[4 + i]
  verdicts[i] = 0
  if is_lost(key, event_id) then
    local job = redis.call('HMGET', key, 'state', 'attempt', 'due_at')
    if not job[1] then
      redis.call('HSET', key, 'handler', handler, 'service', service, 'event_id', event_id, 'event_type', event_type,
        'max_attempts', max_attempts, 'queued_at', now, 'traceparent', traceparent, 'event', event,
        'state', 'queued', 'attempt', 0)
      if expires_ms > 0 then redis.call('HSET', key, 'expires_at', expires_ms) end
    end
    local due = tonumber(job[3] or '0')
    if not job[1] then due = deliver_ms end
    if due > now and job[1] ~= 'running' then
      redis.call('HSET', key, 'due_at', due)
      redis.call('PEXPIREAT', key, due + dead_ttl_ms)
      redis.call('ZADD', KEYS[2], due, event_id)
    else
      if job[1] ~= 'running' then redis.call('HSET', key, 'state', 'queued') end
      redis.call('HDEL', key, 'due_at')
      redis.call('HSET', key, 'queue_entry', redis.call('XADD', KEYS[3], '*', 'job', event_id))
      redis.call('PEXPIRE', key, dead_ttl_ms)
    end
    changes[#changes + 1] = {event_id, redis.call('HGET', key, 'state'), tonumber(job[2] or '0')}
    verdicts[i] = 1
  end
end

if #changes > 0 then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, '*', 'h', handler, 'c', cjson.encode(changes))
end
return verdicts
