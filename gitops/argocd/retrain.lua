-- Action "retrain": asks for another version on the same inputs, as the annotation does.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["trainandserve.io/retrain"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
