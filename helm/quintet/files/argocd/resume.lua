-- Goes on after `suspend`.
obj.spec.suspend = false
return obj
