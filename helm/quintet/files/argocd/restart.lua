-- Replaces the pods of a service one after the other, without failing a request: a new annotation is a new revision.
local pod = obj.spec.pod or {}
local annotations = pod.annotations or {}
annotations["quintet.dev/restartedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
pod.annotations = annotations
obj.spec.pod = pod
return obj
