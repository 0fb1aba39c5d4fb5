-- Reserves a unique key for an event that is about to be committed elsewhere, for a short time.
-- KEYS: the unique key. ARGV: event id, how long in ms, prefix of the handler's job hashes.
-- Returns who has the key now: '' for the event itself, the id of another, ?id of another that is about to be.
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then return '' end
if held and held ~= '?' .. ARGV[1] then
  local state = redis.call('HGET', ARGV[3] .. held, 'state')
  if state ~= 'dead' and state ~= 'cancelled' and state ~= 'expired' then return held end
end
redis.call('SET', KEYS[1], '?' .. ARGV[1], 'PX', ARGV[2])
return ''
