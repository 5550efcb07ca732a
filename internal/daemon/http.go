package daemon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/server/rest"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

// handler serves everything: AWS tools post to /, everything else has its own path.
func (d *Daemon) handler() http.Handler {
	routes := rest.New(rest.Options{
		Open: d.operations, Authenticate: d.auth.Authenticate, Recheck: d.auth.Recheck, Hold: d.auth.Hold, Access: d.admin, Feed: d.feed, Version: d.Version, Log: d.Log, Now: d.DB.Now, State: d.DB.TimesWentBack,
	})
	mux := http.NewServeMux()
	mux.Handle("/v1/", routes)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle("GET /readyz", d.limited(5, http.HandlerFunc(d.ready)))
	for _, path := range rest.OpenPaths() {
		mux.Handle("GET "+path, d.limited(5, routes))
	}
	mux.Handle("GET /metrics", d.metricsPage())
	if d.queue != nil {
		mux.Handle(queuePage+"/", d.requirePermission(access.Admin, queuePage, d.serveQueue))
	}
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || secretsmanager.IsRequest(r) {
			d.endpoint.ServeHTTP(w, r)
			return
		}
		d.limited(1, http.HandlerFunc(d.about)).ServeHTTP(w, r)
	})
	return endSlow(responseWithin, d.ownHostsOnly(ownPagesOnly(d.metrics.HTTP(d.traced(mux)))))
}

// ownPagesOnly refuses changes that another website's page asks for in a person's
// browser, which adds their client certificate, or the key they once entered, by
// itself.
func ownPagesOnly(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusForbidden, map[string]string{"status": "another website asked for this"})
	}))
	return p.Handler(next)
}

// about is the page at /.
func (d *Daemon) about(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"service": "rota", "version": d.Version, "api": "/v1/openapi.json"})
}

// limited counts requests that need no credential against their address, as that
// many of the authenticated ones, which are cheaper. Only /healthz is answered
// always: whoever restarts Rota when it's silent must not be misled by others at
// the same address.
func (d *Daemon) limited(as int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := d.auth.Admit(r, as); !refusedByLimit(w, err) {
			next.ServeHTTP(w, r)
		}
	})
}

// refusedByLimit answers a request beyond a limit.
func refusedByLimit(w http.ResponseWriter, err error) bool {
	limited, ok := errors.AsType[*access.LimitError](err)
	if ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds()))))
		writeJSON(w, http.StatusTooManyRequests, map[string]string{"status": "too many " + limited.What()})
	}
	return ok
}

// requirePermission admits callers who may do something with all secrets. A browser prompts
// for the key: its id as the username, its secret as the password. No other
// website may show the page inside its own, where people would click in it
// without knowing.
func (d *Daemon) requirePermission(may access.Action, page string, next func(http.ResponseWriter, *http.Request, access.Caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		if id, secret, ok := r.BasicAuth(); ok && len(r.Header.Values("Authorization")) == 1 {
			r.Header.Set("Authorization", "Bearer rota_"+id+"_"+secret)
		}
		c, err := d.auth.Authenticate(r, nil)
		if err == nil {
			err = access.Authorize(r.Context(), c, d.DB.Audit(), access.Attempt{Action: may, Op: r.Method + " " + page, At: d.DB.Now()}, "")
			if errors.Is(err, access.ErrUnrecorded) {
				d.Log.ErrorContext(r.Context(), "audit", "error", err)
			}
		}
		if refusedByLimit(w, err) {
			return
		}
		if errors.Is(err, access.ErrUnavailable) {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": hint.Text(err)})
			return
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="rota", charset="UTF-8"`)
			writeJSON(w, http.StatusUnauthorized, map[string]string{"status": "requires the permission " + string(may) + " only"})
			return
		}
		next(w, r, c)
	})
}

// staleAfter is how long the schedule may go without looking for due work
// before this replica counts as not ready.
const staleAfter = 2 * time.Minute

// retryWrites is how often a probe tries to write after a write has failed. Anyone
// can send probes.
const retryWrites = time.Second

// checkWrites is the store's, asked once per interval at most.
func (d *Daemon) checkWrites(ctx context.Context) error {
	d.writes.mu.Lock()
	defer d.writes.mu.Unlock()
	if d.writes.err != nil && time.Since(d.writes.at) < retryWrites {
		return d.writes.err
	}
	before := d.writes.err
	d.writes.at, d.writes.err = time.Now(), d.DB.CheckWrites(ctx)
	if now := d.writes.err; now != nil && before == nil {
		d.Log.ErrorContext(ctx, "the store can't be written to", "error", now)
	}
	return d.writes.err
}

// ready reports whether this replica can work: its store responds, takes writes
// and can be decrypted, and its schedule is alive.
func (d *Daemon) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	health := d.schedule.Health()
	doc := map[string]string{"status": "ok"}
	status := http.StatusOK
	fail := func(why string) {
		doc["status"], doc["reason"], status = "not ready", why, http.StatusServiceUnavailable
	}
	if _, err := d.DB.Queue().Frozen(ctx); err != nil {
		fail("the store does not answer")
	} else if err := d.checkWrites(ctx); err != nil {
		fail("the store can't be written to, and no value is read without an entry in the audit")
	} else if err := d.DB.CheckMasterKey(ctx); err != nil {
		fail("the master key of this replica does not open the store")
	} else if health.Stale(d.DB.Now(), staleAfter) {
		fail("nothing has looked for what is due")
	}
	writeJSON(w, status, doc)
}

func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // a client that's gone doesn't concern the server
}

// listen opens the port.
func (d *Daemon) listen(ctx context.Context) (*http.Server, net.Listener, error) {
	var network net.ListenConfig
	listener, err := network.Listen(ctx, "tcp", d.settings.Listen)
	if err != nil {
		return nil, nil, rota.WithRemedies(fmt.Errorf("listen: %w", err), rota.Outside("another address, server: {listen: ...}"))
	}
	listener = &guardedListener{Listener: listener, each: d.auth.maxConnections, most: mostConnections(), exempt: d.settings.Proxies, within: writeWithin}
	server := &http.Server{
		Handler:           d.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: writeWithin, PingTimeout: writeWithin},
		ErrorLog:          slog.NewLogLogger(httpLog{d.Log.Handler()}, slog.LevelWarn),
		// In-flight requests are still answered at shutdown, within drain.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	if d.settings.CertFile == "" {
		return server, listener, nil
	}
	if server.TLSConfig, err = d.tls(); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	return server, tls.NewListener(listener, server.TLSConfig), nil
}

// drainTimeout is how long in-flight requests may take at shutdown: a little longer
// than turns, so that callers waiting for an interrupted turn get an answer.
const drainTimeout = 25 * time.Second

func (d *Daemon) serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	soft, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(soft); err != nil {
		_ = server.Close() // the rest, such as streams, reconnect
	}
	return nil
}
