-- Tells which entries are in a stream; their fields stay here. KEYS: the stream. ARGV: entry ids.
-- Returns 1 for each that is there. An entry id is an instant of this server: no second event gets it.
local there = {}
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then
  for i = 1, #ARGV do there[i] = 0 end
  return there
end
for i = 1, #ARGV do there[i] = #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) end
return there
