-- Counts the running jobs of one handler by the worker that holds them.
-- KEYS: running set. ARGV: prefix of its job hashes.
-- Returns {worker, count, worker, count, ...}; a job whose lease has ended is nobody's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counts, held = {}, {}
for _, event_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  local worker = redis.call('HGET', ARGV[1] .. event_id, 'worker')
  if worker then counts[worker] = (counts[worker] or 0) + 1 end
end
for worker, count in pairs(counts) do
  held[#held + 1], held[#held + 2] = worker, count
end
return held
