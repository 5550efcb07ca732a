package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// session is the token that Rota currently has.
type session struct {
	c *Connection
	// turn is held while the token is got or renewed.
	turn chan struct{}

	mu    sync.Mutex // guards what follows
	value string
	end   time.Time // zero if it never ends, or if that isn't known
	next  time.Time // when to get or renew it; zero for never

	keeping sync.Once
	start   func() // begins to renew it in the background
	close   func() // ends that
}

func newSession(c *Connection) *session {
	s := &session{c: c, turn: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.start = func() { running.Go(func() { s.keepAlive(ctx) }) }
	s.close = func() {
		s.keeping.Do(func() {}) // it isn't begun any more
		cancel()
		running.Wait()
	}
	return s
}

// given is the token of a connection that has no other login.
func (s *session) given() (string, bool) {
	token, ok := s.c.cfg.Login.(Token)
	return strings.TrimSpace(string(token)), ok
}

// token is a token that's valid as far as Rota knows. With fresh it's one that was
// just got or renewed, which lives as long as possible.
func (s *session) token(ctx context.Context, fresh bool) (string, error) {
	if value, ok := s.valid(); ok && !fresh {
		return value, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", s.c.fail(call{op: "log in"}, nil, ctx.Err())
	}
	if value, ok := s.valid(); ok && !fresh {
		return value, nil // somebody else did it meanwhile
	}
	get := s.logIn
	if _, given := s.given(); given {
		get = s.renew
	}
	if err := get(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, nil
}

// instead is a token in the place of one that was refused; "" if there can't be one.
func (s *session) instead(ctx context.Context, refused string) (string, error) {
	if _, given := s.given(); given {
		return "", nil
	}
	s.mu.Lock()
	if s.value == refused {
		s.value = ""
	}
	s.mu.Unlock()
	return s.token(ctx, false)
}

// valid is the current token, and false if it has to be got or renewed first.
func (s *session) valid() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.value != "" && (s.next.IsZero() || s.c.cfg.Now().Before(s.next))
}

// learn notes a token that lives for a while; 0 means for ever.
func (s *session) learn(value string, seconds int64, renews bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.cfg.Now()
	s.value, s.end, s.next = value, time.Time{}, time.Time{}
	if seconds <= 0 {
		return
	}
	life := secondsOf(seconds)
	s.end, s.next = now.Add(life), now.Add(life)
	if renews {
		s.next = now.Add(max(life/2, time.Second))
	}
}

// logIn gets a new token.
func (s *session) logIn(ctx context.Context) error {
	l := s.c.cfg.Login
	op := "log in with " + l.String()
	path, body, err := l.request(ctx)
	if err != nil {
		return &rota.Error{System: s.c.system(), Connection: s.c.name, Op: op, Class: rota.ClassWait, Err: err}
	}
	hidden := map[string]string{}
	for name, value := range body {
		if text, ok := value.(string); ok && name != "role" {
			hidden[name] = text
		}
	}
	none := ""
	r, err := s.c.send(ctx, call{op: op, method: http.MethodPost, path: path, body: body, token: &none, used: []rota.Credential{rota.NewCredential(hidden)}}, "", nil)
	if err != nil {
		return s.c.cannotLogIn(err, path)
	}
	if r.Auth == nil || r.Auth.ClientToken == "" {
		return s.c.fail(call{op: op}, nil, errUnreadable)
	}
	s.learn(r.Auth.ClientToken, r.Auth.LeaseDuration, true)
	return nil
}

// unexplained reports whether Vault refuses a login without saying why. Its
// Kubernetes method does that whatever goes wrong when it asks Kubernetes, even if
// that can't be reached for a moment.
func unexplained(err error) bool {
	a, ok := errors.AsType[*provider.Answer](err)
	return ok && a.Status == http.StatusForbidden && strings.HasSuffix(strings.ToLower(a.Message), "permission denied")
}

// cannotLogIn adds what a person can do about a login that's refused.
func (c *Connection) cannotLogIn(err error, path string) error {
	e, ok := errors.AsType[*rota.Error](err)
	if !ok {
		return err
	}
	if e.Class == rota.ClassWait {
		return err // it isn't the login's fault: the server isn't initialized yet, say
	}
	if _, isJWT := c.cfg.Login.(JWTLogin); isJWT && unexplained(err) {
		e.Class, e.Err = rota.ClassWait, fmt.Errorf("%w: %w", errLogin, e.Err)
		e.Remedies = rota.Outside("see whether an auth method is mounted at " + strings.TrimSuffix(path, "/login") + ", whether its role takes the service account that connection " + c.name + " has, and, for Kubernetes, whether Vault reaches its API with a valid token_reviewer_jwt: Vault's log says which")
		return err
	}
	switch provider.StatusOf(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound:
		e.Class, e.Err = rota.ClassStop, fmt.Errorf("%w: %w", errLogin, e.Err)
		e.Remedies = rota.Outside("correct the login of connection " + c.name + ", or the role that Vault has for it at " + path)
	}
	return err
}

// about is what Vault says about a token.
type about struct {
	TTL       int64  `json:"ttl"` // seconds; 0 if it never ends
	Renewable bool   `json:"renewable"`
	Type      string `json:"type"`
	Period    int64  `json:"period"`       // seconds; 0 if it has none, so that its life has a limit
	FullTTL   int64  `json:"creation_ttl"` // seconds
	Uses      int64  `json:"num_uses"`     // how many calls it's still good for; 0 if they aren't counted
	Made      int64  `json:"creation_time"`
	Most      int64  `json:"explicit_max_ttl"` // seconds from when it was made; 0 for none
	Orphan    *bool  `json:"orphan"`           // false if it's revoked together with the token that made it
}

// oldest is when a token with an explicit_max_ttl ends, by Vault's clock.
func (a about) oldest() time.Time { return time.Unix(a.Made, 0).Add(secondsOf(a.Most)) }

// renewsFor reports whether renewals make the token last for that long.
func (a about) renewsFor(ttl time.Duration, now time.Time) bool {
	return a.Renewable && a.Period > 0 && (a.Most == 0 || !a.oldest().Before(now.Add(ttl)))
}

func secondsOf(n int64) time.Duration { return time.Duration(n) * time.Second }

// lookUp asks about a token, with the token itself.
func (c *Connection) lookUp(ctx context.Context, token string) (about, error) {
	var a about
	_, err := c.send(ctx, call{op: "look at the connection's own token", method: http.MethodGet, path: "auth/token/lookup-self"}, token, &a)
	return a, err
}

// renew renews the given token if it can be, and finds out how long it lives.
func (s *session) renew(ctx context.Context) error {
	token, _ := s.given()
	a, err := s.c.lookUp(ctx, token)
	switch {
	case isInvalid(err):
		return err
	case provider.StatusOf(err) == http.StatusForbidden:
		s.learn(token, 0, false) // it may not look at itself, and may well be good for the rest
		return nil
	case err != nil:
		return err
	}
	s.learn(token, a.TTL, a.Renewable)
	if !a.Renewable || a.TTL == 0 {
		return nil
	}
	s.keeping.Do(s.start)
	r, err := s.c.send(ctx, call{op: "renew the connection's own token", method: http.MethodPost, path: "auth/token/renew-self", body: map[string]any{}}, token, nil)
	if err == nil && r.Auth != nil {
		s.learn(token, r.Auth.LeaseDuration, r.Auth.Renewable)
	}
	// If it can't be renewed, it's still valid: the next turn tries again, and rota
	// check says why.
	return ctx.Err()
}

// keepAlive renews the given token while nobody uses it.
func (s *session) keepAlive(ctx context.Context) {
	pause := time.Second
	for {
		s.mu.Lock()
		wait, never := s.next.Sub(s.c.cfg.Now()), s.next.IsZero()
		s.mu.Unlock()
		if never {
			return
		}
		timer := time.NewTimer(max(wait, pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = time.Second
		if _, err := s.token(ctx, false); err != nil {
			pause = 15 * time.Second // the next call that needs it says what's wrong
		}
	}
}
