-- Tells how jobs of one handler stand, for who wonders whether they are lost; changes nothing.
-- KEYS: running set, waiting set, queue, then the job hash of each. ARGV: event ids.
-- Returns {state, token, held} for each: state '' when nobody knows the job; token of the message that it was run
--   from last, or ''; held 1 when it runs under a lease that stands, waits for its instant, or lies in the queue.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local standings = {}
for i = 1, #ARGV do
  local job = redis.call('HMGET', KEYS[3 + i], 'state', 'token', 'queue_entry')
  local held = 0
  if job[1] == 'running' and tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or '0') > now
    or job[1] and redis.call('ZSCORE', KEYS[2], ARGV[i])
    or job[3] and #redis.call('XRANGE', KEYS[3], job[3], job[3]) > 0 then
    held = 1
  end
  standings[i] = {job[1] or '', job[2] or '', held}
end
return standings
