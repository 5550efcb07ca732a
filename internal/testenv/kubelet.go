//go:build unix

package testenv

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The node that a test's pods run on, as their spec's nodeName says.
const KubernetesNode = "fake-0"

// PodState is what becomes of the pods that a [Kubelet] starts.
type PodState string

// The states.
const (
	PodReady   PodState = "" // it runs and is ready
	PodImage   PodState = "ImagePullBackOff"
	PodCrashes PodState = "CrashLoopBackOff"
	PodPending PodState = "pending" // the kubelet never gets to it
)

// Kubelet plays the kubelet of one node: a real one needs a container runtime. It runs
// nothing. It marks pods as what a test wants them to be, ends those that are deleted,
// and serves logs.
type Kubelet struct {
	server *KubernetesServer
	logs   *httptest.Server
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	states map[string]PodState // by namespace
	texts  map[string]string   // logs, by namespace
}

func startKubelet(s *KubernetesServer) (*Kubelet, error) {
	k := &Kubelet{server: s, states: map[string]PodState{}, texts: map[string]string{}}
	k.logs = httptest.NewTLSServer(http.HandlerFunc(k.log))
	u, err := url.Parse(k.logs.URL)
	if err != nil {
		return nil, err
	}
	_, text, err := net.SplitHostPort(u.Host)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	if err := s.Try(ctx, http.MethodPost, "/api/v1/nodes", map[string]any{"metadata": map[string]any{"name": KubernetesNode}}, nil); err != nil {
		return nil, err
	}
	if err := s.Try(ctx, http.MethodPatch, "/api/v1/nodes/"+KubernetesNode+"/status", map[string]any{"status": map[string]any{
		"addresses":       []map[string]any{{"type": "InternalIP", "address": "127.0.0.1"}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}},
		"conditions":      []map[string]any{{"type": "Ready", "status": "True"}},
	}}, nil); err != nil {
		return nil, err
	}
	k.done.Go(func() { k.run(ctx) })
	return k, nil
}

func (k *Kubelet) stop() {
	k.cancel()
	k.done.Wait()
	k.logs.Close()
}

// Become says what becomes of the namespace's pods that aren't started yet, and of those
// that don't run.
func (k *Kubelet) Become(namespace string, s PodState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.states[namespace] = s
}

// Print sets what the namespace's containers have printed.
func (k *Kubelet) Print(namespace, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.texts[namespace] = text
}

// log serves what a container has printed, as kubelets do:
// /containerLogs/NAMESPACE/POD/CONTAINER.
func (k *Kubelet) log(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 4 || parts[0] != "containerLogs" {
		http.NotFound(w, r)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, _ = fmt.Fprint(w, k.texts[parts[1]])
}

// tests' pods, as far as a kubelet looks at them.
type kubeletPod struct {
	Metadata struct {
		Name, Namespace   string
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		NodeName   string `json:"nodeName"`
		Containers []struct{ Name, Image string }
	} `json:"spec"`
	Status struct {
		Phase      string `json:"phase"`
		Containers []struct {
			Ready bool `json:"ready"`
			State struct {
				Waiting struct{ Reason string } `json:"waiting"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// run looks at all pods of the node again and again.
func (k *Kubelet) run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var list struct{ Items []kubeletPod }
		if k.server.Try(ctx, http.MethodGet, "/api/v1/pods?fieldSelector=spec.nodeName="+KubernetesNode, nil, &list) == nil {
			for _, p := range list.Items {
				k.look(ctx, p) // what fails is looked at again
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look brings one pod to where it should be.
func (k *Kubelet) look(ctx context.Context, p kubeletPod) {
	path := "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
	if p.Metadata.DeletionTimestamp != nil {
		_ = k.server.Try(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0", nil, nil)
		return
	}
	k.mu.Lock()
	state := k.states[p.Metadata.Namespace]
	k.mu.Unlock()
	running := len(p.Status.Containers) > 0 && p.Status.Containers[0].Ready
	waits := len(p.Status.Containers) > 0 && p.Status.Containers[0].State.Waiting.Reason == string(state)
	if p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" || running || state == PodPending || state != PodReady && waits {
		return
	}
	now := time.Now().UTC().Format(time.RFC3339)
	ready, phase := "True", "Running"
	var containers []map[string]any
	for _, c := range p.Spec.Containers {
		status := map[string]any{"name": c.Name, "image": c.Image, "imageID": "test", "ready": state == PodReady, "started": state == PodReady, "restartCount": 0,
			"state": map[string]any{"running": map[string]any{"startedAt": now}}}
		switch state {
		case PodImage:
			ready, phase = "False", "Pending"
			status["state"] = map[string]any{"waiting": map[string]any{"reason": string(state), "message": "Back-off pulling image " + strconv.Quote(c.Image)}}
		case PodCrashes:
			ready = "False"
			status["restartCount"] = 3
			status["state"] = map[string]any{"waiting": map[string]any{"reason": string(state), "message": "back-off 40s restarting failed container"}}
			status["lastState"] = map[string]any{"terminated": map[string]any{"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}}
		}
		containers = append(containers, status)
	}
	_ = k.server.Try(ctx, http.MethodPatch, path+"/status", map[string]any{"status": map[string]any{
		"phase": phase, "startTime": now, "containerStatuses": containers,
		"conditions": []map[string]any{{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready, "lastTransitionTime": now}, {"type": "ContainersReady", "status": ready}},
	}}, nil)
}
