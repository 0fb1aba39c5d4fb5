-- Adds jobs to one handler's queue, each id once within the window, and gives them their unique keys.
-- KEYS: the queue, then for each job its mark and its unique key (its mark again where it has none).
-- ARGV[1]: msgpack {window_ms, prefix of the job hashes, must, jobs}; a job is {event id, fields, unique_ms}, 0 ms
--   for one without a key. With must = 1 the jobs are promised already: they are added whoever has their keys.
-- Returns for each {the holder, 1 when it was added by this call, its entry}: the holder is its own id, or that of
--   the job that has the key; with a leading ? when that one may still come to nothing. The mark keeps the entry's id,
--   so a repeated call tells where the first one lies; '' for a job that is not in the queue.
-- The mark comes after the entry: when adding fails, the job is not taken for enqueued. A job that has begun is
-- known by its hash, beyond the mark's end; a promised one is added again for all that, its entry may be lost.
local a = cmsgpack.unpack(ARGV[1])
local window_ms, prefix, must, jobs = a[1], a[2], a[3], a[4]
local answers = {}

-- Who has the key; a job that ended without success has it no more.
local function holder_of(key, event_id)
  local held = redis.call('GET', key)
  if not held or held == event_id or held == '?' .. event_id then return nil end
  local state = redis.call('HGET', prefix .. held, 'state')
  if state == 'dead' or state == 'cancelled' or state == 'expired' then return nil end
  return held
end

for i = 1, #jobs do
  local event_id, fields, unique_ms = jobs[i][1], jobs[i][2], jobs[i][3]
  local mark, unique = KEYS[2 * i], KEYS[2 * i + 1]
  local entry = redis.call('GET', mark)
  answers[i] = {event_id, 0, entry or ''}
  local is_known = entry or (must == 0 and redis.call('EXISTS', prefix .. event_id) == 1)
  if not is_known then
    local holder = unique_ms > 0 and holder_of(unique, event_id) or nil
    if holder and must == 0 then
      answers[i] = {holder, 0, ''}
    else
      entry = redis.call('XADD', KEYS[1], '*', unpack(fields))
      redis.call('SET', mark, entry, 'PX', window_ms)
      if unique_ms > 0 and not holder then redis.call('SET', unique, event_id, 'PX', unique_ms) end
      answers[i] = {event_id, 1, entry}
    end
  end
end
return answers
