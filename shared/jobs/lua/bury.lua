-- Makes a dead job of bytes that are no event; the same bytes delivered again change nothing.
-- KEYS: dead set, log, job hash. ARGV: handler, event id, dead_ttl_ms, then the hash's fields and values.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[3], 'handler', ARGV[1], 'event_id', ARGV[2], 'state', 'dead', 'reason', 'invalid',
  'attempt', 0, 'queued_at', now, 'finished_at', now, unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1], 'c', cjson.encode({{ARGV[2], 'dead', 0}}))
return 1
