-- Renews the leases of a worker's running jobs of one handler.
-- KEYS: running set, then the job hash of each. ARGV[1]: msgpack {worker, lease_ms, {{event_id, attempt}, ...}}.
-- Returns 1 for each that still is this worker's, 0 for each that was taken over.
local a = cmsgpack.unpack(ARGV[1])
local worker, lease_ms, jobs = a[1], a[2], a[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local verdicts = {}
for i = 1, #jobs do
  local job = redis.call('HMGET', KEYS[1 + i], 'state', 'attempt', 'worker')
  if job[1] == 'running' and job[3] == worker and tonumber(job[2]) == jobs[i][2] then
    redis.call('ZADD', KEYS[1], now + lease_ms, jobs[i][1])
    verdicts[i] = 1
  else
    verdicts[i] = 0
  end
end
return verdicts
