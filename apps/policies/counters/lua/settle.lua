-- Replace what a request took by what it used, once.
-- KEYS: lease, hold, expired, then S limit hashes, then B budget hashes.
-- ARGV: S, B; per limit: tokens a minute, concurrent (-1: none); per budget: window, rolling days; then: request, nano-USD spent,
--       tokens taken, tokens used, the store's run id, whether an earlier try may have succeeded (1) or not (0).
local S, B = tonumber(ARGV[1]), tonumber(ARGV[2])
local n = 2 + 2 * S + 2 * B
local request, cost, run = ARGV[n + 1], tonumber(ARGV[n + 2]), ARGV[n + 5]
local back = (tonumber(ARGV[n + 3]) - tonumber(ARGV[n + 4])) * 60000
local call = redis.call
local amount, taken, expired = 0, call('HGET', KEYS[2], request), nil
if taken then
    amount = tonumber(string.match(taken, '^%d+;(%d+);'))
    call('HDEL', KEYS[2], request)
    call('ZREM', KEYS[1], request)
else
    expired = call('HGET', KEYS[3], request)
    if expired then
        call('HDEL', KEYS[3], request)
    elseif ARGV[n + 6] == '1' then
        return 0 -- settled by the try before, or lost with the store, which the ledger makes good
    end
end
local known = taken or expired
for i = 1, S do
    local key, a = KEYS[3 + i], 2 * i + 1
    local tpm = ARGV[a] ~= '-1' and back ~= 0
    if taken and ARGV[a + 1] ~= '-1' or tpm then
        local held = call('HMGET', key, 'c', 'kt', 'k')
        local running, left = tonumber(held[1]) or 0, tonumber(held[3]) or 0
        if taken and ARGV[a + 1] ~= '-1' then running = math.max(0, running - 1) end
        if tpm then left = left + back end
        if held[2] then call('HSET', key, 'c', running, 'k', left) end
    end
end
for i = 1, B do
    local key, a = KEYS[3 + S + i], 2 * S + 2 * i + 1
    local window, days = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
    local held = call('HMGET', key, 'e', 'w', 'r', 's', 'h')
    if known and not string.find(known, key .. '=', 1, true) then
        held = {} -- this budget was built from a ledger that has the request already
    end
    if held[3] then -- being built: counted at its end, unless the ledger has it by then
        call('HSET', key .. ':late', request, ARGV[n + 2] .. ';' .. ARGV[a])
        call('EXPIRE', key .. ':late', 120)
    elseif held[1] == run then
        local current, spent, holds = tonumber(held[2]), tonumber(held[4]), tonumber(held[5])
        if days > 0 or window == current then
            if taken then holds = holds - amount end
            if days == 0 then
                spent = spent + cost
            elseif window > current - days and cost > 0 then
                spent = spent + cost
                call('HINCRBY', key, 'd' .. ARGV[a], ARGV[n + 2])
            end
            call('HSET', key, 's', spent, 'h', holds)
        end
    end
end
return 1
