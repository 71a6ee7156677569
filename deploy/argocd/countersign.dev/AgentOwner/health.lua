-- Nothing is written about an owner: what its people say of it is how it stands.
local state = obj.spec.desiredState or "Active"
if state == "Suspended" then
  return { status = "Suspended", message = "its agents are suspended" }
end
if state == "Departed" then
  return { status = "Healthy", message = "departed: what named it has ended" }
end
return { status = "Healthy", message = "active" }
