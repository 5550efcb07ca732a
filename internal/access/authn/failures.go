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

// How many failed authentications are audited and logged: at most one per
// claimant and interval, and overall a burst and then one per interval, whoever
// is trying.
const (
	claimantInterval = time.Minute
	auditBurst       = 100
	auditInterval    = 6 * time.Second
	maxClaimants     = 4096
)

// unknownPrincipal is the actor if nobody is named.
const unknownPrincipal = "unknown"

// claimError is a failure of a request that claims an identity without proof.
type claimError struct {
	claimed string
	error
}

func (e *claimError) Unwrap() error { return e.error }

// withClaim adds the presented key to a failure. Anything that doesn't look
// like a key id could be anything, including a secret.
func withClaim(keyID string, err error) error {
	if !access.IsKeyID(keyID) {
		return err
	}
	return &claimError{keyID, err}
}

// claimant is where a failed request came from and who it claimed to be.
type claimant struct {
	network netip.Prefix
	name    string
}

// lastEntry is the latest entry about a claimant.
type lastEntry struct {
	at         time.Time
	suppressed int // how many have been suppressed since
}

// failureLog writes failed authentications to the audit and the log, few enough
// that a flood fills neither. The next entry says how many were suppressed.
type failureLog struct {
	audit access.Recorder // nil: they're only logged
	now   func() time.Time
	log   *slog.Logger

	mu         sync.Mutex
	limit      *rate.Limiter
	suppressed int // how many the overall limit suppressed
	recent     *lru.Cache[claimant, *lastEntry]
}

func newFailureLog(o Options) (*failureLog, error) {
	kept, err := lru.New[claimant, *lastEntry](maxClaimants)
	if err != nil {
		return nil, fmt.Errorf("refusals: %w", err)
	}
	return &failureLog{audit: o.Audit, now: o.Now, log: o.Log, limit: rate.NewLimiter(rate.Every(auditInterval), auditBurst), recent: kept}, nil
}

// record audits and logs a failure unless it's over the limit; then it appears
// in the debug log only. The request fails either way.
func (r *failureLog) record(req *http.Request, from netip.Addr, claimed string, reason error) {
	detail, ok := r.detail(claimant{Network(from), claimed}, reason)
	if !ok {
		r.log.DebugContext(req.Context(), "authentication failed", "from", from, "claimed", claimed, "reason", reason)
		return
	}
	r.log.InfoContext(req.Context(), "authentication failed", "from", from, "claimed", claimed, "reason", detail)
	if r.audit == nil {
		return
	}
	who := access.Caller{Principal: claimed}
	if from.IsValid() {
		who.From = from.String()
	}
	entry := who.Entry(r.now(), rotation.OpAuthenticate, "", rotation.OutcomeDenied, detail)
	entry.Object = fmt.Sprintf("%.200s", req.Method+" "+req.URL.EscapedPath())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), 10*time.Second)
	defer cancel()
	if err := r.audit.Record(ctx, entry); err != nil {
		r.log.ErrorContext(ctx, "a failed authentication could not be written to the audit", "from", from, "error", err)
	}
}

// detail is an entry's text, and whether to write one.
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
		text += fmt.Sprintf("; %d more since the previous entry were suppressed", before.suppressed)
	}
	if r.suppressed > 0 {
		text += fmt.Sprintf("; %d from all addresses were suppressed", r.suppressed)
	}
	r.suppressed = 0
	r.recent.Add(c, &lastEntry{at: now})
	return text, true
}
