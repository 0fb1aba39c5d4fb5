-- Moves the jobs of one handler whose wait is over into its own queue, and tells which are to be cancelled.
-- KEYS: waiting set, queue, log, cancelling set, control hash. ARGV: handler, prefix of its job hashes, how many at
--   most, then the names of the control hash's fields.
-- Returns {how many were moved, ms until the next is due or -1, event ids of jobs to be cancelled, the values of the
--   control hash's fields}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
local changes = {}
for i = 1, #due do
  local key = ARGV[2] .. due[i]
  local job = redis.call('HMGET', key, 'state', 'attempt')
  if job[1] == 'retrying' or job[1] == 'queued' then
    local entry = redis.call('XADD', KEYS[2], '*', 'job', due[i])
    redis.call('HSET', key, 'state', 'queued', 'queue_entry', entry)
    redis.call('HDEL', key, 'due_at')
    changes[#changes + 1] = {due[i], 'queued', tonumber(job[2] or '0')}
  end
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
if #changes > 0 then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1], 'c', cjson.encode(changes))
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, tonumber(next[2]) - now) or -1, redis.call('SRANDMEMBER', KEYS[4], ARGV[3]),
  redis.call('HMGET', KEYS[5], unpack(ARGV, 4))}
