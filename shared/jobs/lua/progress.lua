-- Notes how far a running job is. KEYS: log, job hash. ARGV: handler, event id, attempt, worker, progress (JSON).
local job = redis.call('HMGET', KEYS[2], 'state', 'attempt', 'worker')
if job[1] ~= 'running' or job[2] ~= ARGV[3] or job[3] ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[2], 'progress', ARGV[5])
redis.call('XADD', KEYS[1], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1],
  'c', cjson.encode({{ARGV[2], 'running', tonumber(ARGV[3])}}))
return 1
