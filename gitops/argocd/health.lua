-- Health of a TrainAndServe, for Argo CD. The operator's conditions say it; this only puts it into Argo CD's words:
--   Healthy      a proven version serves, also while the next one trains for hours, waits or was rejected
--   Progressing  nothing serves yet, or what serves is being changed
--   Degraded     nothing serves, and nothing will change by itself
--   Suspended    spec.suspend holds it
local health = {status = "Progressing", message = "the operator has not looked at it yet"}

local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

local function is_true(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

if conditions["Ready"] == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not looked at the newest specification yet"
  return health
end

health.message = conditions["Ready"].message
if obj.spec.suspend == true then
  health.status = "Suspended"
elseif is_true("Stalled") then
  health.status = "Degraded"
  health.message = conditions["Stalled"].message
elseif is_true("Reconciling") then
  health.message = conditions["Reconciling"].message
elseif is_true("Ready") then
  health.status = "Healthy"
end
return health
