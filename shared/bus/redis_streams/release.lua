-- Gives a reserved unique key back. KEYS: the unique key. ARGV: event id. Returns 1 when it was reserved for it.
if redis.call('GET', KEYS[1]) ~= '?' .. ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
