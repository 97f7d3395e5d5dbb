-- Health of every kind of quintet.dev, from its conditions.
-- Needs no standard library: Argo CD gives a script few of them, and one second.

local function answer(status, message)
  return { status = status, message = message or "" }
end

local status = obj.status
if status == nil or status.observedGeneration == nil then
  return answer("Progressing", "waiting for the controller")
end
if status.observedGeneration ~= obj.metadata.generation then
  return answer("Progressing", "waiting for the controller to see the latest spec")
end

local conditions = status.conditions or {}
local is = {}
for i = 1, #conditions do
  if conditions[i].status == "True" then
    is[conditions[i].type] = conditions[i]
  end
end

if is.Stalled then
  return answer("Degraded", is.Stalled.message)
end
if is.Suspended then
  return answer("Suspended", is.Suspended.message)
end
if is.Reconciling then
  return answer("Progressing", is.Reconciling.message)
end
if is.Ready then
  return answer("Healthy", is.Ready.message)
end
return answer("Progressing", status.message)
