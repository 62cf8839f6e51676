-- A budget has been added up: from here on it counts again.
-- KEYS: budget, hold, expired. ARGV: the rebuild's name, the store's run id, window, rolling days, nano-USD spent, seconds to
--       live, how many days follow, then day and nano-USD in turns, then the requests that were asked about, each with 1 if the
--       ledger has it and 0 if not.
-- Answer: {1} done; {0} not ours any more; {2, request, …} requests that were not asked about: ask, and call again. These are
--       the late ones, and those that hold something of this budget or did until they expired. What the ledger has of them is in
--       the sum already: they hold nothing here any more, and are not charged here again.
local call = redis.call
local key, late = KEYS[1], KEYS[1] .. ':late'
if call('HGET', key, 'r') ~= ARGV[1] then return {0} end
local window, days, spent, pairs_of_days = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local asked = {}
for i = 8 + 2 * pairs_of_days, #ARGV, 2 do asked[ARGV[i]] = ARGV[i + 1] end
local settled = call('HGETALL', late)
local unknown = {2}
for i = 1, #settled, 2 do
    if not asked[settled[i]] then unknown[#unknown + 1] = settled[i] end
end
local counted = {}
for where = 2, 3 do
    local found = call('HGETALL', KEYS[where])
    for i = 1, #found, 2 do
        if string.find(found[i + 1], key .. '=', 1, true) then
            if not asked[found[i]] then
                unknown[#unknown + 1] = found[i]
            elseif asked[found[i]] == '1' then
                counted[#counted + 1] = {KEYS[where], found[i], found[i + 1]}
            end
        end
    end
end
if #unknown > 1 then return unknown end
for _, each in ipairs(counted) do
    local first, budgets = string.match(each[3], '^(.*;)([^;]*)$')
    local left = {}
    for part in string.gmatch(budgets, '[^,]+') do
        if string.sub(part, 1, #key + 1) ~= key .. '=' then left[#left + 1] = part end
    end
    call('HSET', each[1], each[2], first .. table.concat(left, ','))
end

call('DEL', key, late)
call('HSET', key, 'e', ARGV[2], 'w', ARGV[3], 's', 0, 'h', 0)
for i = 8, 7 + 2 * pairs_of_days, 2 do call('HSET', key, 'd' .. ARGV[i], ARGV[i + 1]) end
for i = 1, #settled, 2 do
    local cost, at = string.match(settled[i + 1], '^(%d+);(%d+)$')
    if asked[settled[i]] == '0' then
        at = tonumber(at)
        if days > 0 and at > window - days then
            call('HINCRBY', key, 'd' .. at, cost)
            spent = spent + cost
        elseif days == 0 and at == window then
            spent = spent + cost
        end
    end
end
local held, taken = 0, call('HGETALL', KEYS[2])
for i = 2, #taken, 2 do
    local amount, budgets = string.match(taken[i], '^%d+;(%d+);[^;]*;[^;]*;[^;]*;([^;]*)$')
    for name, at, rolling in string.gmatch(budgets, '([^,=]+)=(%d+)=(%d+)') do
        if name == key and (rolling ~= '0' or tonumber(at) == window) then held = held + amount end
    end
end
call('HSET', key, 's', spent, 'h', held)
call('EXPIRE', key, tonumber(ARGV[6]))
return {1}
