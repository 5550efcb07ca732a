package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/rota-dev/rota"
)

// stuck are the reasons for which a container waits that time alone seldom mends.
var stuck = map[string]string{
	"ImagePullBackOff":           "correct the image, or the login for its registry",
	"InvalidImageName":           "correct the image's name",
	"ErrImageNeverPull":          "put the image on the node, or let it be pulled",
	"CreateContainerConfigError": "create the Secret, ConfigMap or key that the container refers to",
	"CrashLoopBackOff":           "mend what makes the container end",
}

// How much of a crashing container's log is shown.
const (
	logLines = 5
	logBytes = 4096
)

// sick is the error of a pod that doesn't get ready by itself.
func (r *Restart) sick(ctx context.Context, w *workload, p *pod, d delivered) error {
	for _, c := range slices.Concat(p.Status.InitContainers, p.Status.Containers) {
		reason := c.State.Waiting.Reason
		hint, known := stuck[reason]
		if !known {
			continue
		}
		why := d.said(c.State.Waiting.Message)
		if reason == "CrashLoopBackOff" {
			why = fmt.Sprintf("it ended %d times, with code %d", c.Restarts, c.Last.Terminated.ExitCode)
			if lines := r.lastLines(ctx, p.Metadata.Name, c.Name, d); lines != "" {
				why += ". Its last lines: " + lines
			}
		}
		return r.fails(w, hint, "container %s of pod %s is in %s: %s", c.Name, p.Metadata.Name, reason, why)
	}
	return nil
}

// lastLines are those that a container printed before it ended, without the values; ""
// if they can't be had.
func (r *Restart) lastLines(ctx context.Context, pod, container string, d delivered) string {
	var text []byte
	q := request{op: "read the log of pod " + pod, need: logsNeed(r.Namespace), path: pathOf("", r.Namespace, "pods", pod) + "/log",
		query: url.Values{"container": {container}, "previous": {"true"}, "tailLines": {strconv.Itoa(logLines)}, "limitBytes": {strconv.Itoa(logBytes)}}}
	if r.Connection.do(ctx, q, &text) != nil {
		return ""
	}
	if len(text) >= logBytes { // half a value in the last line wouldn't be recognized
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	return d.said(rota.OneLine(rota.Sanitize(errors.New(string(text)), d.secret.values()).Error()))
}
