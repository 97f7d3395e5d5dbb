// Command provisioner gives each claim of its storage class a folder on the node, and takes the folder away with the
// claim. It is the local cluster's default StorageClass.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

// Provisioner's name in the StorageClass, and the mark of the volumes that it made.
const provisionerName = "quintet.dev/folder"

type provisioner struct {
	client kubernetes.Interface
	folder string
	class  string
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the cluster")
	folder := flag.String("folder", "", "folder that holds the volumes")
	class := flag.String("class", "standard", "storage class whose claims are served")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	p := &provisioner{client: kubernetes.NewForConfigOrDie(config), folder: *folder, class: *class}
	p.run(ctx)
}

// run handles claims and volumes one at a time; a failure is tried again with growing delays.
func (p *provisioner) run(ctx context.Context) {
	factory := informers.NewSharedInformerFactory(p.client, 10*time.Minute)
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()

	type key struct{ kind, namespace, name string }
	keys := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[key]())
	enqueue := func(kind string) cache.ResourceEventHandlerFuncs {
		add := func(object any) {
			if accessor, ok := object.(meta.Object); ok {
				keys.Add(key{kind, accessor.GetNamespace(), accessor.GetName()})
			}
		}
		return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, current any) { add(current) }}
	}
	claims.Informer().AddEventHandler(enqueue("claim"))
	volumes.Informer().AddEventHandler(enqueue("volume"))
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	go wait.UntilWithContext(ctx, func(ctx context.Context) {
		for {
			item, shutdown := keys.Get()
			if shutdown {
				return
			}
			var err error
			if item.kind == "claim" {
				if claim, missing := claims.Lister().PersistentVolumeClaims(item.namespace).Get(item.name); missing == nil {
					err = p.provide(ctx, claim)
				}
			} else if volume, missing := volumes.Lister().Get(item.name); missing == nil {
				err = p.reclaim(ctx, volume)
			}
			if err != nil {
				log.Printf("%s %s/%s: %v", item.kind, item.namespace, item.name, err)
				keys.AddRateLimited(item)
			} else {
				keys.Forget(item)
			}
			keys.Done(item)
		}
	}, time.Second)
	<-ctx.Done()
	keys.ShutDown()
}

// provide makes a folder and a volume for a pending claim of the class.
func (p *provisioner) provide(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	ours := claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == p.class
	if !ours || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return nil
	}
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(p.folder, name)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	// Pods run as users that the node does not know, and hostPath volumes take no fsGroup.
	if err := os.Chmod(path, 0o777); err != nil {
		return err
	}
	mode := core.PersistentVolumeFilesystem
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisionerName}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			StorageClassName:              p.class,
			VolumeMode:                    &mode,
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: path}},
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// reclaim deletes a released volume and its folder.
func (p *provisioner) reclaim(ctx context.Context, volume *core.PersistentVolume) error {
	made := volume.Annotations["pv.kubernetes.io/provisioned-by"] == provisionerName
	wanted := volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete
	if !made || !wanted || volume.Status.Phase != core.VolumeReleased || volume.Spec.HostPath == nil {
		return nil
	}
	if filepath.Dir(volume.Spec.HostPath.Path) != p.folder {
		log.Printf("volume %s lies outside %s and is left alone", volume.Name, p.folder)
		return nil
	}
	if err := os.RemoveAll(volume.Spec.HostPath.Path); err != nil {
		return err
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	return err
}
