import { createHash } from 'node:crypto'

/** A script that Redis runs as one step: nobody sees the middle of it. */
export interface RedisScript {
  readonly lua: string
  /** What Redis calls it once it knows it. */
  readonly sha: string
}

function script(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** The format of what is kept in Redis. */
export const FORMAT = '1'

/**
 * Every script answers this, and does nothing, when the server holds another store than the one that was opened: it was
 * emptied, or is another server by now. Whatever it said otherwise would pass off lost records as absent.
 */
const CONFIRM = `
local found = redis.call('HGET', KEYS[1], 'store')
if found ~= ARGV[1] then return {'store', found or ''} end
`

/**
 * Begins a store, unless there is one. The log of changes is given a first entry, so that every cursor, also the first,
 * is the name of an entry.
 *
 * KEYS: meta, changes. ARGV: a new name for the store, the format.
 */
export const BEGIN: RedisScript = script(`
local store = redis.call('HGET', KEYS[1], 'store')
if not store then
  redis.call('HSET', KEYS[1], 'format', ARGV[2], 'store', ARGV[1])
  redis.call('XADD', KEYS[2], '*', 'begin', ARGV[1])
end
return redis.call('HMGET', KEYS[1], 'store', 'format')
`)

/**
 * Proves that the server takes writes, and that this user may give every command that a commit is made of: it must not
 * turn out in the middle of one that one of them is forbidden.
 *
 * KEYS: meta, a key for trying. ARGV: store, now.
 */
export const PROVE: RedisScript = script(`${CONFIRM}
local trial = KEYS[2]
-- First, because a full server takes the rest of a script that has begun to write.
redis.call('HSET', KEYS[1], 'provedAt', ARGV[2])
redis.call('UNLINK', trial)
redis.call('HSET', trial, 'a', '1')
redis.call('HDEL', trial, 'a')
redis.call('ZADD', trial, 0, 'a')
redis.call('ZREM', trial, 'a')
redis.call('XADD', trial, '*', 'a', '1')
redis.call('XTRIM', trial, 'MAXLEN', '~', 1)
redis.call('UNLINK', trial)
return {'done'}
`)

/**
 * Judges all conditions, then makes all changes and logs them.
 *
 * KEYS: meta, collections, changes; then records, index and expiry of each collection.
 * ARGV: store, now, how many changes to keep, the channel of the hints; the name of each collection; then five for each
 * mutation: what to do, the number of the collection, the key, the condition ('' for none, '-' for absent, '=' and the
 * version), and the record of a put or the version of a delete or clear.
 *
 * A script that fails half-way is not undone, so all that can fail comes before the first change: each key is asked for
 * something that only its own type can do, and {@link PROVE} has tried the commands. The hint is sent by pcall for that reason: who may not publish may still write.
 */
export const COMMIT: RedisScript = script(`${CONFIRM}
local now = tonumber(ARGV[2])
local first = 5 + (#KEYS - 3) / 3
local isThere, expiring = {}, {}
redis.call('ZCARD', KEYS[2])
redis.call('XLEN', KEYS[3])
for at = 4, #KEYS, 3 do
  local owner = redis.call('HGET', KEYS[at], '')
  if owner and owner ~= ARGV[1] then return {'store', owner} end
  isThere[at] = owner and true
  redis.call('ZCARD', KEYS[at + 1])
  expiring[at] = redis.call('ZCARD', KEYS[at + 2]) > 0
end
for i = first, #ARGV, 5 do
  local condition = ARGV[i + 3]
  if condition ~= '' then
    local record = redis.call('HGET', KEYS[4 + 3 * ARGV[i + 1]], ARGV[i + 2])
    local version
    if record then
      local stored, expires = string.match(record, '^([^\\n]*)\\n([^\\n]*)\\n')
      if not stored then return {'damaged', (i - first) / 5} end
      if expires == '' or tonumber(expires) > now then version = stored end
    end
    if version then
      if condition ~= '=' .. version then return {'conflict', (i - first) / 5, version} end
    elseif condition ~= '-' then
      return {'conflict', (i - first) / 5}
    end
  end
end

local known, shrunk = {}, {}
for i = first, #ARGV, 5 do
  local what, number, key, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4]
  local at = 4 + 3 * number
  local records, index, expiry, name = KEYS[at], KEYS[at + 1], KEYS[at + 2], ARGV[5 + number]
  local version = body
  if what ~= 'check' then known[at] = name end
  if what == 'put' then
    local expires
    version, expires = string.match(body, '^([^\\n]*)\\n([^\\n]*)\\n')
    local isNew = redis.call('HSET', records, key, body) == 1
    if isNew then redis.call('ZADD', index, 0, key) end
    if not isThere[at] then
      redis.call('HSET', records, '', ARGV[1])
      redis.call('ZADD', KEYS[2], 'NX', '+inf', name)
      isThere[at] = true
    end
    if expires ~= '' then
      redis.call('ZADD', expiry, expires, key)
      redis.call('ZADD', KEYS[2], 'LT', expires, name)
      expiring[at] = true
    elseif expiring[at] and not isNew then
      redis.call('ZREM', expiry, key)
    end
  elseif what == 'delete' then
    if redis.call('HDEL', records, key) == 1 then
      redis.call('ZREM', index, key)
      if expiring[at] then redis.call('ZREM', expiry, key) end
      shrunk[at] = true
    end
  elseif what == 'clear' then
    redis.call('UNLINK', records, index, expiry)
    redis.call('ZREM', KEYS[2], name)
    expiring[at], isThere[at] = false, false
  end
  if what ~= 'check' then
    redis.call('XADD', KEYS[3], '*', 't', what, 'c', name, 'k', key, 'v', version)
  end
end
for at in pairs(shrunk) do
  if redis.call('HLEN', KEYS[at]) <= 1 then
    redis.call('UNLINK', KEYS[at], KEYS[at + 1], KEYS[at + 2])
    redis.call('ZREM', KEYS[2], known[at])
  end
end
if next(known) then
  redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', ARGV[3])
  redis.pcall('PUBLISH', ARGV[4], '')
end
return {'done'}
`)

/**
 * Reads records in order. It looks at so many at most, and then says where to go on: a long stretch of expired records
 * must not keep everybody waiting.
 *
 * KEYS: meta, records, index. ARGV: store, now, where to begin and end, in the direction of reading, 'REV' or '', how
 * many records are wanted.
 */
export const PAGE: RedisScript = script(`${CONFIRM}
local owner = redis.call('HGET', KEYS[2], '')
if owner and owner ~= ARGV[1] then return {'store', owner} end
local now, from, wanted = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[6])
local answer = {'page', ''}
for round = 1, 8 do
  local count = math.min(wanted, 256)
  local keys
  if ARGV[5] == 'REV' then
    keys = redis.call('ZRANGE', KEYS[3], from, ARGV[4], 'BYLEX', 'REV', 'LIMIT', 0, count)
  else
    keys = redis.call('ZRANGE', KEYS[3], from, ARGV[4], 'BYLEX', 'LIMIT', 0, count)
  end
  if #keys == 0 then return answer end
  for i, record in ipairs(redis.call('HMGET', KEYS[2], unpack(keys))) do
    local expires = record and string.match(record, '^[^\\n]*\\n([^\\n]*)\\n')
    if record and (not expires or expires == '' or tonumber(expires) > now) then
      answer[#answer + 1] = keys[i]
      answer[#answer + 1] = record
      wanted = wanted - 1
    end
  end
  if #keys < count or wanted == 0 then return answer end
  from = '(' .. keys[#keys]
end
answer[2] = from
return answer
`)

/**
 * Counts records: all in the range, and those of them that have expired. Of the expired ones it looks at so many at most.
 *
 * KEYS: meta, records, index, expiry. ARGV: store, now, where to begin and end, the prefix, how many expired records to
 * leave out, how many to look at.
 */
export const COUNT: RedisScript = script(`${CONFIRM}
local owner = redis.call('HGET', KEYS[2], '')
if owner and owner ~= ARGV[1] then return {'store', owner} end
if ARGV[5] == '' then
  return {'count', redis.call('ZCARD', KEYS[3]), redis.call('ZCOUNT', KEYS[4], '-inf', ARGV[2]), 0}
end
local expired = redis.call('ZRANGE', KEYS[4], '-inf', ARGV[2], 'BYSCORE', 'LIMIT', ARGV[6], ARGV[7])
local matching = 0
for _, key in ipairs(expired) do
  if string.sub(key, 1, #ARGV[5]) == ARGV[5] then matching = matching + 1 end
end
return {'count', redis.call('ZLEXCOUNT', KEYS[3], ARGV[3], ARGV[4]), matching, #expired}
`)

/**
 * Removes some of the records of a collection that expired long ago, and notes when the next one will.
 *
 * KEYS: meta, collections, records, index, expiry. ARGV: store, before when, the name of the collection, how many.
 */
export const SWEEP: RedisScript = script(`${CONFIRM}
local before = math.min(tonumber(ARGV[2]), redis.call('TIME')[1] * 1000 - 3600000)
local keys = redis.call('ZRANGE', KEYS[5], '-inf', '(' .. string.format('%.0f', before), 'BYSCORE', 'LIMIT', 0, ARGV[4])
if #keys > 0 then
  redis.call('HDEL', KEYS[3], unpack(keys))
  redis.call('ZREM', KEYS[4], unpack(keys))
  redis.call('ZREM', KEYS[5], unpack(keys))
end
if redis.call('HLEN', KEYS[3]) <= 1 then
  redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[5])
  redis.call('ZREM', KEYS[2], ARGV[3])
else
  local earliest = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[2], 'XX', earliest[2] or '+inf', ARGV[3])
end
return {'swept', #keys}
`)

/**
 * Compares some records with the index and the expiry.
 *
 * KEYS: meta, records, index, expiry. ARGV: store, where to go on in the records, how many.
 * Answers where to go on, then four for each record: key, record, whether it is in the index, its expiry in the set.
 */
export const INSPECT_RECORDS: RedisScript = script(`${CONFIRM}
local scanned = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local answer = {'records', scanned[1]}
for i = 1, #scanned[2], 2 do
  local key = scanned[2][i]
  if key ~= '' then
    answer[#answer + 1] = key
    answer[#answer + 1] = scanned[2][i + 1]
    answer[#answer + 1] = redis.call('ZSCORE', KEYS[3], key) and 'indexed' or ''
    answer[#answer + 1] = redis.call('ZSCORE', KEYS[4], key) or ''
  end
end
return answer
`)

/**
 * Looks for keys in the index, or in the expiry, that have no record.
 *
 * KEYS: meta, records, the set. ARGV: store, where to go on in the set, how many.
 */
export const INSPECT_SET: RedisScript = script(`${CONFIRM}
local scanned = redis.call('ZSCAN', KEYS[3], ARGV[2], 'COUNT', ARGV[3])
local answer = {'keys', scanned[1]}
for i = 1, #scanned[2], 2 do
  if redis.call('HEXISTS', KEYS[2], scanned[2][i]) == 0 then answer[#answer + 1] = scanned[2][i] end
end
return answer
`)
