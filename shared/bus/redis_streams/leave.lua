-- Removes a consumer from a group, unless entries are pending with it: those would be gone for ever.
-- KEYS: the stream. ARGV: group, consumer. Returns 1 when it is removed.
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
