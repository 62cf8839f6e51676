-- Hold more for a request that runs, in all of its budgets or in none.
-- KEYS: hold, then budget hashes. ARGV: request, nano-USD to hold beside what it holds, the same at worst, the store's run id; per
--       budget: limit, window, rolling days (0: none), whether it blocks.
-- Answer: 1 held; 0 there is no room, or the store knows too little of the request or its budgets to say.
local call = redis.call
local taken = call('HGET', KEYS[1], ARGV[1])
if not taken then return 0 end
local more, worst = tonumber(ARGV[2]), tonumber(ARGV[3])
local here = {} -- budgets that have a part of what it holds: not those whose window has ended, or whose ledger has the request
for i = 2, #KEYS do
    local a = 4 * i - 3
    local limit, window, days, blocks = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), ARGV[a + 3] == '1'
    local held = call('HMGET', KEYS[i], 'e', 'w', 's', 'h', 'r')
    if held[1] ~= ARGV[4] or held[5] then return 0 end
    if string.find(taken, KEYS[i] .. '=', 1, true) and (days > 0 or tonumber(held[2]) == window) then
        local taken_all = tonumber(held[3]) + tonumber(held[4])
        local need = more
        if more < worst and taken_all + more > limit * 0.9 then need = worst end
        if blocks and taken_all + need > limit then return 0 end
        here[#here + 1] = KEYS[i]
    end
end
for _, key in ipairs(here) do call('HINCRBY', key, 'h', ARGV[2]) end
local at, amount, rest = string.match(taken, '^(%d+;)(%d+)(;.*)$')
call('HSET', KEYS[1], ARGV[1], at .. string.format('%.0f', amount + more) .. rest)
return 1
