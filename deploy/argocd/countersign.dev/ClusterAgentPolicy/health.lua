-- Policies are in effect, compiled but off, or refused: then the generation before stays in effect.
local hs = { status = "Progressing", message = "the operator has not looked at it yet" }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
local is = {}
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    is[condition.type] = condition
  end
end

local function answer(status, condition)
  hs.status = status
  hs.message = condition.reason .. ": " .. condition.message
  return hs
end
-- What was said of an older generation counts no more.
if obj.status.observedGeneration == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
if is.Stalled then
  return answer("Degraded", is.Stalled)
end
if is.Ready and is.Ready.reason == "Disabled" then
  return answer("Suspended", is.Ready)
end
if is.Ready then
  return answer("Healthy", is.Ready)
end
return hs
