package redisstate

import "github.com/redis/go-redis/v9"

// All keys of one partition share a hash tag, so that one script may touch them on a cluster. KEYS[1] is the tag:
// TAG:m is a hash {tok, secret, h, first, last, swept, cursor, pass}, TAG:s:<n> are segments of the partition log, TAG:next is a hash of
// sequences with the field "a" for the last applied nonce, TAG:redo:<nonce> are redo blobs.
const scriptHead = `
local call = redis.call
local tag = KEYS[1]
local meta = tag .. ':m'
local function segment(n) return tag .. ':s:' .. string.format('%.0f', n) end
`

// takeScript: token, secret, ttl in ms.
var takeScript = redis.NewScript(scriptHead + `
call('HSET', meta, 'tok', ARGV[1])
call('HSETNX', meta, 'secret', ARGV[2])
call('PEXPIRE', meta, ARGV[3])
local m = call('HMGET', meta, 'h', 'first', 'last', 'secret')
local first, last = tonumber(m[2] or '1'), tonumber(m[3] or '0')
local out = {m[1] or '-1', string.format('%.0f', first), m[4]}
for n = first, last do
  call('PEXPIRE', segment(n), ARGV[3])
  out[#out+1] = call('STRLEN', segment(n))
end
return out`)

// appendScript: token, from, to, segment, length, first, init, ttl in ms, data. The content at its place is what tells a
// retry from a stranger; the end offset, not the length alone, is what makes a log that was rolled back refuse.
var appendScript = redis.NewScript(scriptHead + `
local m = call('HMGET', meta, 'tok', 'h', 'first')
if not m[1] then return {'LOST', '-1'} end
if m[1] ~= ARGV[1] then return {'STALE', m[2] or '-1'} end
local from, to, length, data = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5]), ARGV[9]
local n, first = tonumber(ARGV[4]), tonumber(ARGV[6])
local key = segment(n)
local h = tonumber(m[2] or '-1')
local l = call('STRLEN', key)
if h >= to and l >= length + #data and call('GETRANGE', key, length, length + #data - 1) == data then return {'OK', m[2]} end
if h < 0 and ARGV[7] == '1' then h = from end
if h < from or (h == from and l < length) then return {'LOST', string.format('%.0f', h)} end
if h > from or l > length then return {'STALE', string.format('%.0f', h)} end
call('APPEND', key, data)
call('PEXPIRE', key, ARGV[8])
for old = tonumber(m[3] or '1'), first - 1 do call('DEL', segment(old)) end
call('HSET', meta, 'h', ARGV[3], 'first', ARGV[6], 'last', ARGV[4])
call('PEXPIRE', meta, ARGV[8])
return {'OK', ARGV[3]}`)

// cutScript: token, segment, length, head, ttl in ms.
var cutScript = redis.NewScript(scriptHead + `
local m = call('HMGET', meta, 'tok', 'first', 'last')
if not m[1] then return 'LOST' end
if m[1] ~= ARGV[1] then return 'STALE' end
local first, last = tonumber(m[2] or '1'), tonumber(m[3] or '0')
local n, length = tonumber(ARGV[2]), tonumber(ARGV[3])
for old = math.max(n + 1, first), last do call('DEL', segment(old)) end
if n >= first then
  local kept = length > 0 and call('GETRANGE', segment(n), 0, length - 1) or ''
  call('DEL', segment(n))
  if kept ~= '' then call('SET', segment(n), kept, 'PX', ARGV[5]) end
  call('HSET', meta, 'last', ARGV[2])
else
  call('HDEL', meta, 'first', 'last')
end
if tonumber(ARGV[4]) < 0 then call('HDEL', meta, 'h') else call('HSET', meta, 'h', ARGV[4]) end
return 'OK'`)

// A redo blob is: version u8 = 1, length of prev u8, prev, then for each key its length u32, the key, and where it stands:
// when it was seen and its next sequence, 8 bytes each; big-endian, with the sign bit flipped so that they order as bytes.
// The hash keeps user keys with "k" before them. Lua compares halves, because its numbers are exact to 2^53 only.
const applyScript = `
local nexts = tag .. ':next'
local function u32(s, i)
  local a, b, c, d = string.byte(s, i, i + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
local function less(a, b)
  for i = 1, math.min(#a, #b), 4 do
    local x, y = u32(a, i), u32(b, i)
    if x ~= y then return x < y end
  end
  return false
end
local function prevOf(b) return string.sub(b, 3, 2 + string.byte(b, 2)) end
local function apply(nonce)
  local done = call('HGET', nexts, 'a') or ''
  if done == nonce then return nil end
  local redo = tag .. ':redo:' .. nonce
  local b = call('GET', redo)
  if not b then return 'LOST applied ' .. done .. ', wanted ' .. nonce .. ', which is not there' end
  if prevOf(b) ~= done then return 'LOST applied ' .. done .. ', wanted ' .. nonce .. ', which follows ' .. prevOf(b) end
  local i = 3 + string.byte(b, 2)
  while i <= #b do
    local n = u32(b, i)
    local k = 'k' .. string.sub(b, i + 4, i + 3 + n)
    local v = string.sub(b, i + 4 + n, i + 19 + n)
    local old = call('HGET', nexts, k)
    if not old or less(old, v) then call('HSET', nexts, k, v) end
    i = i + 20 + n
  end
  call('DEL', redo)
  call('HSET', nexts, 'a', nonce)
  return nil
end
`

// recoverScript: token, nonce, ttl in ms.
var recoverScript = redis.NewScript(scriptHead + applyScript + `
call('HSET', meta, 'tok', ARGV[1])
call('PEXPIRE', meta, ARGV[3])
local lost = apply(ARGV[2])
if lost then return lost end
call('PEXPIRE', nexts, ARGV[3])
return 'OK'`)

// nextScript: nonce, keys.
var nextScript = redis.NewScript(scriptHead + applyScript + `
local lost = apply(ARGV[1])
if lost then return {lost} end
local out = {'OK'}
for i = 2, #ARGV, 1000 do
  local ks = {}
  for j = i, math.min(i + 999, #ARGV) do ks[#ks+1] = 'k' .. ARGV[j] end
  for _, v in ipairs(call('HMGET', nexts, unpack(ks))) do out[#out+1] = v or '' end
end
return out`)

// stepScript: prev, nonce, blob, ttl of the blob in ms, ttl of the rest, oldest. Keys seen before it go when it has moved on,
// some with each step, so that none takes long. A pass that began with a lower oldest counts for that one only.
var stepScript = redis.NewScript(scriptHead + applyScript + `
local function sweep(oldest)
  local m = call('HMGET', meta, 'swept', 'cursor', 'pass')
  if not m[2] and m[1] and not less(m[1], oldest) then return end
  local pass = m[2] and m[3] or oldest
  local found = call('HSCAN', nexts, m[2] or '0', 'COUNT', 1000)
  for i = 1, #found[2], 2 do
    if found[2][i] ~= 'a' and less(found[2][i+1], oldest) then call('HDEL', nexts, found[2][i]) end
  end
  if found[1] ~= '0' then return call('HSET', meta, 'cursor', found[1], 'pass', pass) end
  call('HDEL', meta, 'cursor', 'pass')
  call('HSET', meta, 'swept', pass)
end
local lost = apply(ARGV[1])
if lost then return lost end
call('SET', tag .. ':redo:' .. ARGV[2], ARGV[3], 'PX', ARGV[4])
sweep(ARGV[6])
call('PEXPIRE', nexts, ARGV[5])
call('PEXPIRE', meta, ARGV[5])
return 'OK'`)

// restoreScript: token, nonce, first part?, last part?, ttl in ms, then key, next, … The parts gather in a key of
// their own, which takes the place of the old state with the last one.
var restoreScript = redis.NewScript(scriptHead + `
if call('HGET', meta, 'tok') ~= ARGV[1] then return 'STALE' end
local new, nexts = tag .. ':next:new', tag .. ':next'
if ARGV[3] == '1' then call('DEL', new) end
if ARGV[3] == '0' and call('EXISTS', new) == 0 then return 'LOST' end
for i = 6, #ARGV, 2 do call('HSET', new, 'k' .. ARGV[i], ARGV[i+1]) end
call('HSET', new, 'a', ARGV[2])
call('PEXPIRE', new, ARGV[5])
if ARGV[4] == '1' then call('RENAME', new, nexts) end
return 'OK'`)
