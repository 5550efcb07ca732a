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
	Name string `json:"name"`
	Env  []struct {
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

// usage is how a pod reads a Secret.
type usage int

const (
	unused usage = iota
	// mounted means that the kubelet replaces the value while the pod runs.
	mounted
	// fixed means that the pod keeps the value that it began with: in its environment,
	// or mounted as a single file of a volume (subPath), which the kubelet never replaces.
	fixed
)

// uses is how pods with this spec read a Secret.
func (s podSpec) uses(secret string) usage {
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
	most := unused
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
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
			if !slices.Contains(volumes, m.Name) {
				continue
			}
			if m.SubPath != "" || m.SubPathExpr != "" {
				return fixed
			}
			most = mounted
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
		Reason   string `json:"reason"`
		ExitCode int    `json:"exitCode"`
	} `json:"terminated"`
}

// active reports whether a container of the pod may still run.
func (p *pod) active() bool { return p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed" }

// began is when the pod read its environment, at the earliest: when the first of its
// running containers was started. It's when the pod was made if that isn't known.
func (p *pod) began() time.Time {
	began := time.Time{}
	for _, c := range p.Status.Containers {
		if c.State.Running != nil && (began.IsZero() || c.State.Running.StartedAt.Before(began)) {
			began = c.State.Running.StartedAt
		}
	}
	if began.IsZero() {
		return p.Metadata.CreationTimestamp
	}
	return began
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
