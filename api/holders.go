package api

import (
	"context"
	"net/url"
	"time"
)

// ReportRequest says which versions of secrets an instance of an application holds.
// It replaces what the instance reported before about the same secrets.
type ReportRequest struct {
	// Instance is the instance's name, such as its pod's. Different principals'
	// instances are different ones, whatever their names.
	Instance string `json:"instance"`
	// Holding is what it holds: up to a thousand secrets in one request.
	Holding []HeldVersions `json:"holding,omitempty"`
	// Ended means that the instance holds nothing any more.
	Ended bool `json:"ended,omitempty"`
}

// HeldVersions are the versions of one secret that an instance holds: usually one,
// several while connections with an older one are still open, or none.
type HeldVersions struct {
	Secret   string   `json:"secret"`
	Versions []string `json:"versions"`
}

// ReportDoc says when the server wants the next report.
type ReportDoc struct {
	NextSeconds int64 `json:"next_seconds"`
	// Refused are the secrets whose report wasn't recorded under the instance's name.
	Refused []RefusedReport `json:"refused,omitempty"`
}

// RefusedReport is why a report about a secret wasn't recorded.
type RefusedReport struct {
	Secret string        `json:"secret"`
	Reason RefusalReason `json:"reason"`
}

// RefusalReason is why a report is refused.
type RefusalReason string

// The reasons.
const (
	RefusedUnknown RefusalReason = "unknown" // the configuration has no such secret
	RefusedDenied  RefusalReason = "denied"  // the caller may not read it
	// RefusedFull means that the secret or the principal has more instances than
	// Rota counts. They count as one that nobody can name, until its report expires.
	RefusedFull RefusalReason = "full"
)

// HoldersDoc is who holds which version of a secret, as instances reported.
type HoldersDoc struct {
	Secret  string `json:"secret"`
	Version string `json:"version,omitempty"` // the current one
	// ListeningSince is since when instances could report without a gap; left out
	// if they can't.
	ListeningSince time.Time `json:"listening_since,omitzero"`
	// WithinSeconds is how long a report counts at least, and Retires means that the
	// policy's retire_when has the previous credential wait for the reports.
	WithinSeconds int64 `json:"within_seconds"`
	Retires       bool  `json:"retires"`
	// Instances is how many instances report, and Older how many of them hold a
	// version that isn't the current one.
	Instances int         `json:"instances"`
	Older     int         `json:"older"`
	Holders   []HolderDoc `json:"holders"`
}

// HolderDoc is one version that an instance holds.
type HolderDoc struct {
	// Instance and Principal are left out for instances that are too many to be
	// counted.
	Instance  string    `json:"instance,omitempty"`
	Principal string    `json:"principal,omitempty"`
	Version   string    `json:"version"`
	Current   bool      `json:"current"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"` // when it expires unless there's another report
}

// ForgetRequest drops what instances reported about versions other than the current
// one, because they're gone for good. One that isn't is back with its next report.
type ForgetRequest struct {
	Secret   string `json:"secret"`
	Instance string `json:"instance,omitempty"` // "" for all
	Reason   string `json:"reason,omitempty"`   // for people, in the audit
}

// ForgetDoc says how many reports were dropped.
type ForgetDoc struct {
	Secret    string `json:"secret"`
	Forgotten int    `json:"forgotten"`
}

// reportPath takes reports. They're not sent with an Idempotency-Key: the next one
// replaces them.
const reportPath = "/v1/holders"

// Report says which versions an instance holds.
func (c *Client) Report(ctx context.Context, r ReportRequest) (ReportDoc, error) {
	ctx, cancel := context.WithTimeout(ctx, c.ask)
	defer cancel()
	return post[ReportDoc](ctx, c, reportPath, nil, r)
}

// Holders says who holds which version of a secret.
func (c *Client) Holders(ctx context.Context, name string) (HoldersDoc, error) {
	return get[HoldersDoc](ctx, c, path("secrets", name, "holders"), nil)
}

// Forget drops what instances reported.
func (c *Client) Forget(ctx context.Context, r ForgetRequest) (ForgetDoc, error) {
	body := map[string]string{}
	if r.Reason != "" {
		body["reason"] = r.Reason
	}
	return post[ForgetDoc](ctx, c, path("secrets", r.Secret, "forget"), url.Values(query{}.text("instance", r.Instance)), body)
}
