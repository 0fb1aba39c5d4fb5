-- Adds events to their stream, each id once within the window.
-- KEYS: the stream, then one mark for each event.
-- ARGV: window in ms, how long in ms to keep what nobody listens to, then the fields of each event (msgpack).
-- The mark comes after the entry: when adding fails, the event is not taken for published.
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('XADD', KEYS[1], '*', unpack(cmsgpack.unpack(ARGV[i + 1])))
    redis.call('SET', KEYS[i], '1', 'PX', ARGV[1])
  end
end
if #redis.call('XINFO', 'GROUPS', KEYS[1]) == 0 then
  local time = redis.call('TIME')
  redis.call('XTRIM', KEYS[1], 'MINID', '~', time[1] * 1000 - ARGV[2])
end
return #KEYS - 1
