-- Take from every limit and hold in every budget, or change nothing.
-- KEYS: lease, hold, then S limit hashes, then B budget hashes.
-- ARGV: S, B, where-blob; per limit: requests a minute, tokens a minute, concurrent (-1: none), seconds to live (0: for good);
--       per budget: limit, window, rolling days (0: none), whether it blocks; then: request, lease in ms, nano-USD to hold,
--       nano-USD at worst, tokens to take, the store's run id.
-- Answer: {1, …state} taken; {0, what, which, …state} refused; {2, which, …} budgets that are not built.
-- State: per limit: what is left of requests and of tokens (in 1/60000), running requests; per budget: spent, held.
local S, B = tonumber(ARGV[1]), tonumber(ARGV[2])
local n = 3 + 4 * S + 4 * B
local request, lease, amount, worst, tokens, run =
    ARGV[n + 1], tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3]), tonumber(ARGV[n + 4]), tonumber(ARGV[n + 5]), ARGV[n + 6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local call = redis.call
local state, refused, which, unbuilt = {}, nil, nil, nil
local over = {} -- budgets whose window has ended since the question was put, by a clock that is slow: nothing to hold there

for i = 1, S do
    local a = 4 * i
    local rpm, tpm, most = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
    local held = call('HMGET', KEYS[2 + i], 'r', 'rt', 'k', 'kt', 'c')
    local left, left_tokens, running = -1, -1, tonumber(held[5]) or 0
    if rpm >= 0 then
        left = rpm * 60000
        if held[2] and held[2] ~= '0' then left = math.min(left, held[1] + rpm * math.max(0, now - held[2])) end
        if left < 60000 and not refused then refused, which = 'requests', i end
    end
    if tpm >= 0 then
        left_tokens = tpm * 60000
        if held[4] and held[4] ~= '0' then left_tokens = math.min(left_tokens, held[3] + tpm * math.max(0, now - held[4])) end
        if (left_tokens < tokens * 60000 or left_tokens <= 0) and not refused then refused, which = 'tokens', i end
    end
    if most >= 0 and running >= most and not refused then refused, which = 'concurrency', i end
    local s = 3 * i
    state[s - 2], state[s - 1], state[s] = left, left_tokens, running
end

for i = 1, B do
    local a = 4 * (S + i)
    local limit, window, days, blocks = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), ARGV[a + 3] == '1'
    local key = KEYS[2 + S + i]
    local held = call('HMGET', key, 'e', 'w', 's', 'h', 'r')
    local spent, holds = tonumber(held[3]) or 0, tonumber(held[4]) or 0
    if held[1] ~= run or held[5] then
        unbuilt = unbuilt or {2}
        unbuilt[#unbuilt + 1] = i
        spent, holds = 0, 0 -- of another run of the store, or another window: nothing is refused for them
    elseif tonumber(held[2]) < window then
        -- A new window: nothing is spent in it. Of rolling days only what lies before them goes.
        if days == 0 then
            spent, holds = 0, 0
            call('HSET', key, 'w', window, 's', 0, 'h', 0)
        else
            spent = 0
            local fields = call('HGETALL', key)
            for f = 1, #fields, 2 do
                if string.byte(fields[f]) == 100 then -- d
                    if tonumber(string.sub(fields[f], 2)) <= window - days then
                        call('HDEL', key, fields[f])
                    else
                        spent = spent + fields[f + 1]
                    end
                end
            end
            call('HSET', key, 'w', window, 's', spent)
        end
    elseif days == 0 and tonumber(held[2]) > window then
        over[i] = true
    end
    if blocks and not refused then
        local need = amount
        if amount < worst and spent + holds + amount > limit * 0.9 then need = worst end
        if spent + holds + need > limit or limit == 0 then refused, which = 'budget', i end
    end
    local s = 3 * S + 2 * i
    state[s - 1], state[s] = spent, holds
end

if refused then return {0, refused, which, unpack(state)} end
if unbuilt then return unbuilt end

for i = 1, S do
    local key, a, s = KEYS[2 + i], 4 * i, 3 * i
    local life, running = tonumber(ARGV[a + 3]), state[s]
    local at, tokens_at = 0, 0 -- 0: no such limit now; should it come, its bucket is full
    if tonumber(ARGV[a]) >= 0 then state[s - 2], at = state[s - 2] - 60000, now end
    if tonumber(ARGV[a + 1]) >= 0 then state[s - 1], tokens_at = state[s - 1] - tokens * 60000, now end
    if tonumber(ARGV[a + 2]) >= 0 then state[s] = running + 1 end
    call('HSET', key, 'r', state[s - 2], 'rt', at, 'k', state[s - 1], 'kt', tokens_at, 'c', state[s])
    if life > 0 then call('EXPIRE', key, life) end
end
for i = 1, B do
    local s = 3 * S + 2 * i
    if amount > 0 and not over[i] then
        call('HINCRBY', KEYS[2 + S + i], 'h', amount)
        state[s] = state[s] + amount
    end
end
-- The amount as it came: Lua would write a large one as 1e+15, which nobody could read again.
call('HSET', KEYS[2], request, now .. ';' .. ARGV[n + 3] .. ';' .. ARGV[3])
call('ZADD', KEYS[1], now + lease, request)
return {1, unpack(state)}
