package kubernetes

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota/provider"
)

// podSpec is as much of a pod's as says which Secrets it reads.
type podSpec struct {
	InitContainers []container `json:"initContainers"`
	Containers     []container `json:"containers"`
	Debug          []container `json:"ephemeralContainers"`
	Volumes        []struct {
		Name   string `json:"name"`
		Secret struct {
			Name string `json:"secretName"`
		} `json:"secret"`
		Projected struct {
			Sources []struct {
				Secret struct {
					Name string `json:"name"`
				} `json:"secret"`
			} `json:"sources"`
		} `json:"projected"`
	} `json:"volumes"`
}

type container struct {
	Name          string `json:"name"`
	RestartPolicy string `json:"restartPolicy"` // Always makes an init container a sidecar
	Env           []struct {
		From struct {
			Secret struct {
				Name string `json:"name"`
			} `json:"secretKeyRef"`
		} `json:"valueFrom"`
	} `json:"env"`
	EnvFrom []struct {
		Secret struct {
			Name string `json:"name"`
		} `json:"secretRef"`
	} `json:"envFrom"`
	Mounts []struct {
		Name        string `json:"name"`
		SubPath     string `json:"subPath"`
		SubPathExpr string `json:"subPathExpr"`
	} `json:"volumeMounts"`
}

// usage is how a container, or all of a pod's, read a Secret.
type usage int

const (
	unused usage = iota
	// mounted means that the kubelet replaces the value while the pod runs.
	mounted
	// bound means a single file of a volume (subPath), which the kubelet never replaces.
	// A container that's started again gets what the volume has by then.
	bound
	// fixed means that the container keeps the value that it began with, in its
	// environment. A container that's started again gets the one of then.
	fixed
	// passed means that an init container has read it. It runs only once, and what it has
	// made of it is there as long as the pod is.
	passed
)

// uses is how pods with this spec read a Secret.
func (s podSpec) uses(secret string) usage {
	most := unused
	for _, how := range s.readers(secret) {
		most = max(most, how)
	}
	return most
}

// readers are the containers that read a Secret, by their names, and how each does.
func (s podSpec) readers(secret string) map[string]usage {
	var volumes []string
	for _, v := range s.Volumes {
		if v.Secret.Name == secret {
			volumes = append(volumes, v.Name)
		}
		for _, source := range v.Projected.Sources {
			if source.Secret.Name == secret {
				volumes = append(volumes, v.Name)
			}
		}
	}
	found := map[string]usage{}
	for _, c := range slices.Concat(s.Containers, s.Debug) {
		if how := c.uses(secret, volumes); how != unused {
			found[c.Name] = how
		}
	}
	for _, c := range s.InitContainers {
		how := c.uses(secret, volumes)
		if how != unused && c.RestartPolicy != "Always" {
			how = passed
		}
		if how != unused {
			found[c.Name] = how
		}
	}
	return found
}

// uses is how the container reads a Secret that's in these volumes.
func (c container) uses(secret string, volumes []string) usage {
	most := unused
	for _, e := range c.Env {
		if e.From.Secret.Name == secret {
			return fixed
		}
	}
	for _, e := range c.EnvFrom {
		if e.Secret.Name == secret {
			return fixed
		}
	}
	for _, m := range c.Mounts {
		switch {
		case !slices.Contains(volumes, m.Name):
		case m.SubPath != "" || m.SubPathExpr != "":
			most = bound
		default:
			most = max(most, mounted)
		}
	}
	return most
}

// pod is one as the API server has it.
type pod struct {
	Metadata metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
	Status   struct {
		Phase          string            `json:"phase"`
		Conditions     []condition       `json:"conditions"`
		InitContainers []containerStatus `json:"initContainerStatuses"`
		Containers     []containerStatus `json:"containerStatuses"`
		Debug          []containerStatus `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type containerStatus struct {
	Name     string         `json:"name"`
	Restarts int            `json:"restartCount"`
	State    containerState `json:"state"`
	Last     containerState `json:"lastState"`
}

type containerState struct {
	Waiting struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"waiting"`
	Running *struct {
		StartedAt time.Time `json:"startedAt"`
	} `json:"running"`
	Terminated struct {
		Reason    string    `json:"reason"`
		ExitCode  int       `json:"exitCode"`
		StartedAt time.Time `json:"startedAt"`
	} `json:"terminated"`
}

// active reports whether a container of the pod may still run.
func (p *pod) active() bool { return p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed" }

// began is when the pod read its environment, at the earliest: when the first of its
// running containers was started. It's when the pod was made if that isn't known.
func (p *pod) began() time.Time {
	began := time.Time{}
	for _, c := range slices.Concat(p.Status.InitContainers, p.Status.Containers) {
		if c.State.Running != nil && (began.IsZero() || c.State.Running.StartedAt.Before(began)) {
			began = c.State.Running.StartedAt
		}
	}
	if began.IsZero() {
		return p.Metadata.CreationTimestamp
	}
	return began
}

// mayHold reports whether a container of the pod may have what a Secret held before a
// delivery. Kubelets need some time to replace it in volumes, and to report what runs.
func (p *pod) mayHold(secret string, d delivered, now time.Time, propagation time.Duration) bool {
	if p.Metadata.CreationTimestamp.After(d.at) {
		return false
	}
	soon := !now.After(d.at.Add(propagation))
	statuses := map[string]containerState{}
	for _, c := range slices.Concat(p.Status.InitContainers, p.Status.Containers, p.Status.Debug) {
		statuses[c.Name] = c.State
	}
	for name, how := range p.Spec.readers(secret) {
		state := statuses[name]
		started, until := time.Time{}, d.at
		switch {
		case how == mounted:
		case how == passed && !state.Terminated.StartedAt.IsZero():
			started = state.Terminated.StartedAt
		case state.Running != nil:
			started = state.Running.StartedAt
		}
		if how == bound {
			until = until.Add(propagation)
		}
		if started.IsZero() && soon || !started.IsZero() && !started.After(until) {
			return true
		}
	}
	return false
}

// listPods reads the pods of a namespace, or those with these labels.
func (c *Connection) listPods(ctx context.Context, namespace, labels string) ([]*pod, error) {
	q := request{op: "list the pods of namespace " + namespace, kind: "PodList", path: pathOf("", namespace, "pods", ""), need: podsNeed(namespace)}
	return listAll[*pod](ctx, c, q, labels)
}

func podsNeed(namespace string) need {
	return need{verbs: []string{"list"}, resource: "pods", namespace: namespace, why: "sees how a rollout goes, and which pods hold an old value"}
}

func logsNeed(namespace string) need {
	return need{verbs: []string{"get"}, resource: "pods/log", namespace: namespace, why: "shows the last lines of a container that crashes", occasion: provider.OccasionOption}
}
