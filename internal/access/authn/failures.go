package authn

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// How many failed authentications become entries of the audit: one of each
// claimant in a while, and of all together so many at once and one every so
// often, whoever tries.
const (
	claimantInterval   = time.Minute
	auditBurst = 100
	auditInterval   = 6 * time.Second
	maxClaimants  = 4096
)

// unknownPrincipal is who acts where nobody is named.
const unknownPrincipal = "unknown"

// claimError is a refusal of a request that says whose it is, without proof.
type claimError struct {
	claimed string
	error
}

func (e *claimError) Unwrap() error { return e.error }

// withClaim has a refusal name the key that was shown. What has not the form of a
// key's id may be anything, a secret too.
func withClaim(keyID string, err error) error {
	if !access.IsKeyID(keyID) {
		return err
	}
	return &claimError{keyID, err}
}

// claimant is where a refused request comes from and who it claims to be.
type claimant struct {
	network netip.Prefix
	name    string
}

// lastEntry is the last entry about a claimant.
type lastEntry struct {
	at   time.Time
	suppressed int // how many were left out since
}

// failureLog writes failed authentications to the audit, so few of them that a
// flood does not fill it. What is left out is counted in the next entry.
type failureLog struct {
	audit access.Recorder // nil: none are written
	now   func() time.Time
	log   *slog.Logger

	mu   sync.Mutex
	limit  *rate.Limiter
	suppressed int // how many were left out for want of all
	recent *lru.Cache[claimant, *lastEntry]
}

func newFailureLog(o Options) (*failureLog, error) {
	kept, err := lru.New[claimant, *lastEntry](maxClaimants)
	if err != nil {
		return nil, fmt.Errorf("refusals: %w", err)
	}
	return &failureLog{audit: o.Audit, now: o.Now, log: o.Log, limit: rate.NewLimiter(rate.Every(auditInterval), auditBurst), recent: kept}, nil
}

// record writes a refusal down, unless it is one too many. The request is refused
// either way.
func (r *failureLog) record(req *http.Request, from netip.Addr, claimed string, reason error) {
	if r.audit == nil {
		return
	}
	detail, ok := r.detail(claimant{network(from), claimed}, reason)
	if !ok {
		return
	}
	who := access.Caller{Principal: claimed}
	if from.IsValid() {
		who.From = from.String()
	}
	entry := who.Entry(r.now(), "authenticate", "", rotation.OutcomeDenied, detail)
	entry.Object = fmt.Sprintf("%.200s", req.Method+" "+req.URL.EscapedPath())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), 10*time.Second)
	defer cancel()
	if err := r.audit.Record(ctx, entry); err != nil {
		r.log.ErrorContext(ctx, "a failed authentication could not be written to the audit", "from", from, "error", err)
	}
}

// detail is what an entry says, and whether there is to be one.
func (r *failureLog) detail(c claimant, reason error) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	before, found := r.recent.Get(c)
	if found && now.Sub(before.at) < claimantInterval {
		before.suppressed++
		return "", false
	}
	if !r.limit.AllowN(now, 1) {
		r.suppressed++
		return "", false
	}
	text := fmt.Sprintf("%.300s", reason)
	if found && before.suppressed > 0 {
		text += fmt.Sprintf("; %d more since the entry before are left out", before.suppressed)
	}
	if r.suppressed > 0 {
		text += fmt.Sprintf("; %d of all addresses are left out", r.suppressed)
	}
	r.suppressed = 0
	r.recent.Add(c, &lastEntry{at: now})
	return text, true
}
