-- Cancels one job, whether or not a worker lives; a running one is asked to stop.
-- KEYS: waiting set, cancelling set, log, job hash. ARGV: handler, event id, event type, dead_ttl_ms.
-- Returns the state that the job has now, or 'cancelling' for a running one.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local handler, event_id = ARGV[1], ARGV[2]
local job = redis.call('HMGET', KEYS[4], 'state', 'attempt')
local state = job[1]
if state == 'running' then
  redis.call('HSET', KEYS[4], 'cancel_requested', now)
  redis.call('SADD', KEYS[2], event_id)
  return 'cancelling'
end
if state and state ~= 'queued' and state ~= 'retrying' then return state end
if not state then
  -- Its message is still on its way; who takes it finds the job final.
  redis.call('HSET', KEYS[4], 'handler', handler, 'service', string.match(handler, '^[^.]*'), 'event_id', event_id,
    'event_type', ARGV[3], 'attempt', 0, 'max_attempts', 0, 'queued_at', now)
end
redis.call('HSET', KEYS[4], 'state', 'cancelled', 'finished_at', now)
redis.call('HDEL', KEYS[4], 'due_at')
redis.call('PEXPIRE', KEYS[4], ARGV[4])
redis.call('ZREM', KEYS[1], event_id)
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'h', handler,
  'c', cjson.encode({{event_id, 'cancelled', tonumber(job[2] or '0')}}))
return 'cancelled'
