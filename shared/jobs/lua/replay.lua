-- Queues a job again that ended without success, with the same event and fresh attempts.
-- KEYS: dead set, queue, log, job hash. ARGV: handler, event id, event ('' when the hash has it), event type,
--   service, max_attempts, dead_ttl_ms, replay ('' for an order to this one job), then for a job that is not known
--   here any more its traceparent and its former attempts ('' for none).
-- Returns the state that the job has now; 'gone' when nobody knows its event any more. A replay queues dead jobs
-- only, each once: the same call again (its reply was lost) finds its own work done, whatever came of it since.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local job = redis.call('HMGET', KEYS[4], 'state', 'event', 'replay')
local state, replay = job[1], ARGV[8]
if replay ~= '' and job[3] == replay then return 'queued' end
local may_run = not state or state == 'dead' or (replay == '' and (state == 'cancelled' or state == 'expired'))
if not may_run then return state end
local event = job[2] or ARGV[3]
if event == '' then return 'gone' end
redis.call('HSET', KEYS[4], 'handler', ARGV[1], 'event_id', ARGV[2], 'event', event, 'event_type', ARGV[4],
  'service', ARGV[5], 'max_attempts', ARGV[6], 'state', 'queued', 'attempt', 0, 'queued_at', now)
if not state and ARGV[9] ~= '' then redis.call('HSET', KEYS[4], 'traceparent', ARGV[9]) end
if not state and ARGV[10] ~= '' then redis.call('HSET', KEYS[4], 'attempts', ARGV[10]) end
if replay ~= '' then redis.call('HSET', KEYS[4], 'replay', replay) end
redis.call('HDEL', KEYS[4], 'reason', 'error', 'result', 'caused', 'progress', 'finished_at', 'started_at', 'due_at',
  'expires_at', 'cancel_requested', 'crashes', 'worker', 'token')
redis.call('PEXPIRE', KEYS[4], ARGV[7])
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[4], 'queue_entry', redis.call('XADD', KEYS[2], '*', 'job', ARGV[2]))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1], 'c', cjson.encode({{ARGV[2], 'queued', 0}}))
return 'queued'
