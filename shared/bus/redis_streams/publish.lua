-- Adds events to their stream, each id once within the window.
-- KEYS: the stream, then one mark for each event. ARGV: window in ms, then the fields of each event (msgpack).
-- The mark comes after the entry: when adding fails, the event is not taken for published.
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('XADD', KEYS[1], '*', unpack(cmsgpack.unpack(ARGV[i])))
    redis.call('SET', KEYS[i], '1', 'PX', ARGV[1])
  end
end
return #KEYS - 1
