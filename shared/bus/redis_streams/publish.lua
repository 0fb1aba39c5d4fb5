-- Adds events to their stream, each id once within the window.
-- KEYS: the stream, then one mark for each event.
-- ARGV: window in ms, how long in ms to keep what nobody listens to, then the fields of each event (msgpack).
-- Returns the id of each event's entry; the mark keeps it, so a repeated call tells where the first one lies.
-- The mark comes after the entry: when adding fails, the event is not taken for published.
local entries = {}
for i = 2, #KEYS do
  local entry = redis.call('GET', KEYS[i])
  if not entry then
    entry = redis.call('XADD', KEYS[1], '*', unpack(cmsgpack.unpack(ARGV[i + 1])))
    redis.call('SET', KEYS[i], entry, 'PX', ARGV[1])
  end
  entries[i - 1] = entry
end
if #redis.call('XINFO', 'GROUPS', KEYS[1]) == 0 then
  local time = redis.call('TIME')
  redis.call('XTRIM', KEYS[1], 'MINID', '~', time[1] * 1000 - ARGV[2])
end
return entries
