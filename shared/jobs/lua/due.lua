-- Moves the retries of one handler that are due into its own queue.
-- KEYS: retrying set, queue, log. ARGV: handler, prefix of its job hashes, how many at most.
-- Returns {how many were moved, ms until the next is due or -1}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
local changes = {}
for i = 1, #due do
  local key = ARGV[2] .. due[i]
  if redis.call('HGET', key, 'state') == 'retrying' then
    redis.call('HSET', key, 'state', 'queued')
    redis.call('XADD', KEYS[2], '*', 'job', due[i])
    changes[#changes + 1] = {due[i], 'queued', tonumber(redis.call('HGET', key, 'attempt'))}
  end
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
if #changes > 0 then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'h', ARGV[1], 'c', cjson.encode(changes))
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, tonumber(next[2]) - now) or -1}
