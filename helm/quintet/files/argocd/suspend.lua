-- Ends the pods and keeps what is done; `resume` goes on from there.
obj.spec.suspend = true
return obj
