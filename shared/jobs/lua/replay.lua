-- Queues a job again that ended without success, with the same event and fresh attempts.
-- KEYS: dead set, queue, log, job hash. ARGV: handler, event id, event ('' when the hash has it), event type,
--   service, max_attempts, dead_ttl_ms.
-- Returns the state that the job has now; 'gone' when nobody knows its event any more.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = redis.call('HMGET', KEYS[4], 'state', 'event')
local state = job[1]
if state and state ~= 'dead' and state ~= 'cancelled' and state ~= 'expired' then return state end
local event = job[2] or ARGV[3]
if event == '' then return 'gone' end
redis.call('HSET', KEYS[4], 'handler', ARGV[1], 'event_id', ARGV[2], 'event', event, 'event_type', ARGV[4],
  'service', ARGV[5], 'max_attempts', ARGV[6], 'state', 'queued', 'attempt', 0, 'queued_at', now)
redis.call('HDEL', KEYS[4], 'reason', 'error', 'result', 'caused', 'progress', 'finished_at', 'started_at', 'due_at',
  'expires_at', 'cancel_requested', 'crashes', 'worker', 'token')
redis.call('PEXPIRE', KEYS[4], ARGV[7])
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[4], 'queue_entry', redis.call('XADD', KEYS[2], '*', 'job', ARGV[2]))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1], 'c', cjson.encode({{ARGV[2], 'queued', 0}}))
return 'queued'
