package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// queuePage is where administrators see the replicas' queue.
const queuePage = "/admin/queue"

// largestChange is the largest request that changes the queue. The ids of a
// thousand jobs, the most the page accepts at once, fit.
const largestChange = 256 << 10

// serveQueue serves the queue's page. A change to the queue is audited before
// it's made, and its result afterwards.
func (d *Daemon) serveQueue(w http.ResponseWriter, r *http.Request, c access.Caller) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		d.queue.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestChange))
	if err != nil {
		writeJSON(w, http.StatusRequestEntityTooLarge, map[string]string{"message": "the body can't be read, or is too large"})
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	entry := c.Entry(d.DB.Now(), r.Method+" "+queuePage, "", rotation.OutcomeBegun, jobs(body))
	entry.Object = fmt.Sprintf("%.200s", strings.TrimPrefix(r.URL.EscapedPath(), queuePage+"/api/"))
	if err := d.DB.Audit().Record(r.Context(), entry); err != nil {
		d.Log.ErrorContext(r.Context(), "a change of the queue could not be written to the audit, and is not done", "error", err)
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"message": "it could not be written to the audit, and is not done"})
		return
	}
	status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	d.queue.ServeHTTP(status, r)
	entry.At, entry.Outcome, entry.Detail = d.DB.Now(), rotation.OutcomeSucceeded, ""
	if status.status >= http.StatusBadRequest {
		entry.Outcome, entry.Detail = rotation.OutcomeFailed, fmt.Sprintf("answered %d %s", status.status, http.StatusText(status.status))
	}
	if err := d.DB.Audit().Record(context.WithoutCancel(r.Context()), entry); err != nil {
		d.Log.ErrorContext(r.Context(), "how a change of the queue went could not be written to the audit", "error", err)
	}
}

// jobs names the jobs a change affects; "" if none.
func jobs(body []byte) string {
	var change struct {
		IDs []json.RawMessage `json:"ids"`
	}
	if err := json.Unmarshal(body, &change); err != nil || len(change.IDs) == 0 {
		return ""
	}
	ids := make([]string, len(change.IDs))
	for i, id := range change.IDs {
		ids[i] = strings.Trim(string(id), `"`)
	}
	list := strings.Join(ids, ", ")
	const most = 500
	if len(list) > most {
		list = list[:strings.LastIndex(list[:most], ",")+1] + " …"
	}
	return fmt.Sprintf("%d jobs: %s", len(ids), list)
}

// statusWriter records a response's status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
