-- Which actions a resource of quintet.dev offers now.

local status = obj.status or {}
local suspended = obj.spec.suspend == true
local ended = status.phase == "Succeeded" or status.phase == "Failed"
local serves = obj.kind == "CompressionService" or obj.kind == "MatcherPool" or obj.kind == "CopyEngine"

local actions = {}
if suspended then
  actions["resume"] = { disabled = false }
else
  -- A job that has ended stays ended.
  actions["suspend"] = { disabled = ended and not serves }
end
if serves then
  actions["restart"] = { disabled = suspended }
end
return actions
