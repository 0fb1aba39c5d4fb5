-- Decides for a batch of deliveries of one handler which jobs run now, and makes those running.
-- KEYS: running set, waiting set, dead set, log, control hash, rate, prefix of the minutes, suspects, then the job
--   hash of each delivery.
-- ARGV[1]: msgpack {handler, service, version, worker, max_attempts, lease_ms, dead_ttl_ms, deliveries, cap, rate},
--   where a delivery is {event_id, token, event, event_type, queued_ms, traceparent, deliver_ms, expires_ms}; ''
--   and 0 stand for not given. cap and rate are the code's limits; the control hash goes before them.
-- Returns for each delivery {attempt, event}: attempt > 0 runs, 0 is done with already (acknowledge it),
--   -1 belongs to a live worker (leave it). The event is given back to a mere reference.
--   {-2, '', why, wait_ms}: a limit does not let it start now (hold it, ask again); why is paused, concurrency
--   or rate.
-- The same worker may claim the same message again (its reply was lost): it gets the same attempt.
local a = cmsgpack.unpack(ARGV[1])
local handler, service, version, worker = a[1], a[2], a[3], a[4]
local max_attempts, lease_ms, dead_ttl_ms, deliveries = a[5], a[6], a[7], a[8]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local POISON_CRASHES = 3
local SUSPECTS_WAIT_MS = 1000
local SUSPECTS_KEPT_S = 86400
local COUNTS_KEPT_S = 600
local MOST_ARGUMENTS = 4000
local verdicts, changes = {}, {}
local started, refused = 0, 0

-- What the limits leave for this batch. `free` counts what may start under the cap. The rate is a GCRA: `next_us` is
-- when the next start would be due if all came evenly, and may run ahead of now by a tenth of a second: so late
-- askers lose nothing, and no second sees more than 1.1 * rate + 1 starts. What a lower rate has put further off is
-- cut to the most that the present one can make of it.
local AHEAD_US = 100000
local control = redis.call('HMGET', KEYS[5], 'paused', 'concurrency', 'rate')
local cap, rate = tonumber(control[2]) or a[9], tonumber(control[3]) or a[10]
local free = cap > 0 and cap - redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf') or math.huge
local now_us, next_us, kept_us, every_us
if rate > 0 then
  now_us, every_us = time[1] * 1000000 + time[2], 1000000 / rate
  kept_us = tonumber(redis.call('GET', KEYS[6]) or '0')
  next_us = math.min(math.max(kept_us, now_us), now_us + AHEAD_US + every_us)
end

-- Why no job may start now, and when to ask again; nil when one may, which then counts as started.
local function obstacle()
  if control[1] then return 'paused', 1000 end
  if free <= 0 then return 'concurrency', 100 end
  if rate > 0 then
    -- Each that is refused has its own instant, for as many as are due in half of that tenth.
    if next_us - now_us > AHEAD_US then
      local wait_us = next_us - now_us - AHEAD_US + math.min(refused, math.floor(AHEAD_US / 2 / every_us)) * every_us
      return 'rate', math.ceil(wait_us / 1000)
    end
    next_us = next_us + every_us
  end
  free, started = free - 1, started + 1
end

local function finish(key, event_id, attempt, state, reason)
  redis.call('HSET', key, 'state', state, 'reason', reason, 'finished_at', now)
  redis.call('PEXPIRE', key, dead_ttl_ms)
  redis.call('ZREM', KEYS[1], event_id)
  changes[#changes + 1] = {event_id, state, attempt}
end

local function bury(key, event_id, attempt, reason, failure)
  redis.call('HSET', key, 'error', failure)
  redis.call('ZADD', KEYS[3], now, event_id)
  finish(key, event_id, attempt, 'dead', reason)
end

local function is_over(expires_ms)
  return expires_ms > 0 and expires_ms <= now
end

-- A job that is to be delivered later waits as a retry does; its message is done with.
local function delay(key, event_id, deliver_ms)
  redis.call('HSET', key, 'state', 'queued', 'attempt', 0, 'due_at', deliver_ms)
  redis.call('PEXPIREAT', key, deliver_ms + dead_ttl_ms)
  redis.call('ZADD', KEYS[2], deliver_ms, event_id)
  changes[#changes + 1] = {event_id, 'queued', 0}
end

-- What a batch makes running enters the running set at its end, in one command.
local leases, is_leased = {}, {}

local function lease(event_id, attempt)
  leases[#leases + 1], leases[#leases + 2] = now + lease_ms, event_id
  is_leased[event_id] = true
  changes[#changes + 1] = {event_id, 'running', attempt}
  return attempt
end

local function run(key, event_id, token, attempt)
  redis.call('HSET', key, 'state', 'running', 'attempt', attempt, 'worker', worker, 'version', version,
    'token', token, 'started_at', now)
  return lease(event_id, attempt)
end

-- A new job in its first state, in one command: most jobs need no other here.
local function make(key, d, ...)
  redis.call('HSET', key, 'handler', handler, 'service', service, 'event_id', d[1], 'event_type', d[4],
    'max_attempts', max_attempts, 'queued_at', d[5], 'traceparent', d[6], 'event', d[3], ...)
  redis.call('PEXPIRE', key, dead_ttl_ms)
  if d[8] > 0 then redis.call('HSET', key, 'expires_at', d[8]) end
end

-- A suspect would be poison if its worker died once more. A worker runs one of them at a time: so who dies of one
-- does not take the others along, which were in the same hands the times before.
local function is_crowded(key, event_id)
  local other = redis.call('HGET', KEYS[8], worker)
  if not other or other == event_id then return false end
  local job = redis.call('HMGET', string.sub(key, 1, -#event_id - 1) .. other, 'state', 'worker')
  return job[1] == 'running' and job[2] == worker
end

-- A suspect that has to wait for another leaves its worker's hands; its message is done with.
local function postpone(key, event_id, attempt)
  redis.call('HSET', key, 'state', 'queued', 'attempt', attempt, 'due_at', now + SUSPECTS_WAIT_MS)
  redis.call('ZREM', KEYS[1], event_id)
  redis.call('ZADD', KEYS[2], now + SUSPECTS_WAIT_MS, event_id)
  changes[#changes + 1] = {event_id, 'queued', attempt}
  return 0
end

-- Runs the job, or makes it a queued one whose delivery its worker holds until the limits let it start.
local function start(key, event_id, token, attempt, state, crashes)
  local is_suspect = crashes >= POISON_CRASHES - 1
  if is_suspect and is_crowded(key, event_id) then return postpone(key, event_id, attempt - 1) end
  local why, wait_ms = obstacle()
  if not why and is_suspect then
    redis.call('HSET', KEYS[8], worker, event_id)
    redis.call('EXPIRE', KEYS[8], SUSPECTS_KEPT_S)
  end
  if not why then return run(key, event_id, token, attempt) end
  refused = refused + 1
  if state ~= 'queued' then
    redis.call('HSET', key, 'state', 'queued', 'attempt', attempt - 1)
    redis.call('ZREM', KEYS[1], event_id)
    changes[#changes + 1] = {event_id, 'queued', attempt - 1}
  end
  return -2, why, wait_ms
end

-- The same for a job that nobody has seen before.
local function start_new(key, d, token)
  local why, wait_ms = obstacle()
  if not why then
    make(key, d, 'state', 'running', 'attempt', 1, 'worker', worker, 'version', version, 'token', token,
      'started_at', now)
    return lease(d[1], 1)
  end
  refused = refused + 1
  make(key, d, 'state', 'queued', 'attempt', 0)
  changes[#changes + 1] = {d[1], 'queued', 0}
  return -2, why, wait_ms
end

-- The worker that had the job is silent for a lease: that attempt is over, and counts.
local function lost(key, event_id, job)
  local failure = cjson.encode({type = 'WorkerLost', stack = '',
    message = 'the worker ' .. (job[3] or '?') .. ' was silent for longer than its lease'})
  local ended = cjson.encode({attempt = tonumber(job[2]), worker = job[3] or '', version = job[6] or '',
    started_at = tonumber(job[7]) or 0, finished_at = now, error = cjson.decode(failure)})
  local before = job[8] and (job[8] .. '\n') or ''
  if job[9] then return finish(key, event_id, tonumber(job[2]), 'cancelled', '') end
  local crashes = redis.call('HINCRBY', key, 'crashes', 1)
  redis.call('HSET', key, 'attempts', before .. ended, 'error', failure)
  local attempt = tonumber(job[2])
  if crashes >= POISON_CRASHES then return bury(key, event_id, attempt, 'poison', failure) end
  if attempt >= max_attempts then return bury(key, event_id, attempt, 'exhausted', failure) end
  return attempt + 1
end

for i = 1, #deliveries do
  local d = deliveries[i]
  local event_id, token, event = d[1], d[2], d[3]
  local key = KEYS[8 + i]
  local job = redis.call('HMGET', key, 'state', 'attempt', 'worker', 'token', 'event', 'version', 'started_at',
    'attempts', 'cancel_requested', 'due_at', 'expires_at', 'crashes')
  local state, crashes, attempt, why, wait_ms = job[1], tonumber(job[12] or '0'), 0, nil, nil
  if not state then
    if event ~= '' then
      if is_over(d[8]) then
        make(key, d)
        finish(key, event_id, 0, 'expired', 'expired')
      elseif d[7] > now then
        make(key, d)
        delay(key, event_id, d[7])
      else
        attempt, why, wait_ms = start_new(key, d, token)
      end
    end
  elseif state == 'queued' then
    if is_over(tonumber(job[11] or '0')) then
      finish(key, event_id, tonumber(job[2] or '0'), 'expired', 'expired')
    elseif tonumber(job[10] or '0') <= now then
      attempt, why, wait_ms = start(key, event_id, token, tonumber(job[2] or '0') + 1, state, crashes)
    end
  elseif state == 'running' then
    local until_ms = is_leased[event_id] and math.huge or tonumber(redis.call('ZSCORE', KEYS[1], event_id) or '0')
    if job[3] == worker and job[4] == token then
      attempt = tonumber(job[2])
    elseif until_ms > now then
      attempt = job[4] == token and -1 or 0
    else
      local next = lost(key, event_id, job)
      if next then attempt, why, wait_ms = start(key, event_id, token, next, state, crashes + 1) end
    end
  end
  verdicts[i] = {attempt, (attempt > 0 and event == '') and job[5] or '', why, wait_ms}
end

for i = 1, #leases, MOST_ARGUMENTS do
  redis.call('ZADD', KEYS[1], unpack(leases, i, math.min(i + MOST_ARGUMENTS - 1, #leases)))
end
if rate > 0 and (started > 0 or next_us < kept_us) then
  local key_ttl_ms = math.ceil((next_us - now_us) / 1000) + 1
  redis.call('SET', KEYS[6], string.format('%.0f', math.ceil(next_us)), 'PX', key_ttl_ms)
end
if started > 0 then
  local minute = KEYS[7] .. math.floor(now / 60000)
  redis.call('HINCRBY', minute, 'started', started)
  redis.call('EXPIRE', minute, COUNTS_KEPT_S)
end

if #changes > 0 then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, '*', 'h', handler, 'c', cjson.encode(changes))
end
return verdicts
