-- Finds an event among the entries of a stream that a group has not been given yet.
-- KEYS: the stream. ARGV: group, event id, how many entries to look at.
-- Returns how many lie before it; -1 when it is not among them, -2 when it is not among those looked at.
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return -1 end
local after = '-'
for i = 1, #groups do
  local group = {}
  for j = 1, #groups[i], 2 do group[groups[i][j]] = groups[i][j + 1] end
  if group['name'] == ARGV[1] then after = '(' .. group['last-delivered-id'] end
end
local entries = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', ARGV[3])
for i = 1, #entries do
  local fields = entries[i][2]
  for j = 1, #fields, 2 do
    if (fields[j] == 'ce-id' or fields[j] == 'job') and fields[j + 1] == ARGV[2] then return i - 1 end
  end
end
return #entries < tonumber(ARGV[3]) and -1 or -2
