package config

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// rivalry finds secrets that might change the same resource: the resource has
// the same name in both claims, and the file doesn't say whether their
// connections reach the same account or server.
type rivalry struct {
	wiring     *wiring
	identities *identities
	things     map[string][]contender // by claimed resource
	secrets    map[string][]contender // by secret name
}

// contender is a claim that might be contested.
type contender struct {
	claim
	ids []string // what the resource is called, as far as the file says
}

func newRivalry(w *wiring) *rivalry {
	return &rivalry{wiring: w, identities: newIdentities(), things: map[string][]contender{}, secrets: map[string][]contender{}}
}

func (r *rivalry) add(c claim, ids []string) {
	if c.Scope == "" && !r.answers(c.Connection) {
		return
	}
	x := contender{c, ids}
	r.things[c.thing()] = append(r.things[c.thing()], x)
	r.secrets[c.secret] = append(r.secrets[c.secret], x)
}

// asked is what the connection's answer for a contender is kept under.
func (c contender) asked() string {
	if c.Server == "" {
		return c.Connection
	}
	return c.Connection + "\x00" + c.Server
}

// identifier is what to ask for a contender's account or server; nil if nothing can
// say, or nothing has to.
func (r *rivalry) identifier(c contender) provider.Identifier {
	opened := r.wiring.opened[c.Connection].value
	if several, ok := opened.(provider.ServerIdentifier); ok && c.Server != "" {
		return oneServer{several, c.Server}
	}
	if one, ok := opened.(provider.Identifier); ok && c.Scope == "" {
		return one
	}
	return nil
}

// oneServer is one of a connection's servers.
type oneServer struct {
	of     provider.ServerIdentifier
	server string
}

// Identity implements [provider.Identifier].
func (s oneServer) Identity(ctx context.Context) (string, error) {
	return s.of.ServerIdentity(ctx, s.server)
}

// answers reports whether a connection can say what it reaches, or could if it
// were open.
func (r *rivalry) answers(connection string) bool {
	opened, tried := r.wiring.opened[connection]
	_, identifies := opened.value.(provider.Identifier)
	return tried && (identifies || opened.err != nil)
}

// settled reports whether the file says which account or server a claim is on.
func (c contender) settled() bool { return c.Scope != "" && c.Server == "" }

// pair is a secret's claim and another that might be on the same resource.
type pair struct {
	mine, theirs contender
	how          string // how they exclude each other, if that isn't obvious
}

// pairs returns the pairs of one secret, in the file's order.
func (r *rivalry) pairs(secret string) []pair {
	var out []pair
	for _, mine := range r.secrets[secret] {
		for _, theirs := range r.things[mine.thing()] {
			how, clash := mine.clash(theirs.claim)
			evident := mine.settled() && theirs.settled() || slices.ContainsFunc(mine.ids, func(id string) bool { return slices.Contains(theirs.ids, id) })
			if clash && !evident && !theirs.order.yields(mine.order) {
				out = append(out, pair{mine, theirs, how})
			}
		}
	}
	return out
}

func (r *rivalry) has(secret string) bool { return len(r.pairs(secret)) > 0 }

// of returns a function that finds out which other secrets change the same
// resources as this one, for [rotation.Secret].Rivals.
func (r *rivalry) of(secret string) func(context.Context) rotation.Rivals {
	pairs := r.pairs(secret)
	return func(ctx context.Context) rotation.Rivals {
		ask := map[string]provider.Identifier{}
		for _, p := range pairs {
			for _, c := range []contender{p.mine, p.theirs} {
				if i := r.identifier(c); i != nil {
					ask[c.asked()] = i
				}
			}
		}
		r.identities.ask(ctx, ask, time.Time{})
		if since := r.apart(pairs); !since.IsZero() {
			r.identities.ask(ctx, ask, since)
		}
		return r.compare(pairs)
	}
}

// reaches returns what a contender's connection is known to reach.
func (r *rivalry) reaches(c contender) identity {
	known := r.identities.of(c.asked())
	if c.Scope != "" && (c.Server == "" || known.scope == "") {
		return identity{scope: c.Scope}
	}
	if err := r.wiring.opened[c.Connection].err; err != nil {
		return identity{err: err}
	}
	if known.scope == "" && known.err == nil {
		known.err = fmt.Errorf("connection %s: no answer in %s: %w", c.Connection, identifyWithin, context.DeadlineExceeded)
	}
	return known
}

// apart covers answers that differ but were given too far apart to count,
// because a server might have restarted in between. It returns the time since
// which answers would count, or zero if all of them do.
func (r *rivalry) apart(pairs []pair) time.Time {
	var since time.Time
	for _, p := range pairs {
		mine, theirs := r.reaches(p.mine), r.reaches(p.theirs)
		if mine.at.IsZero() || theirs.at.IsZero() || mine.scope == theirs.scope || mine.at.Sub(theirs.at).Abs() <= identifyTogether {
			continue
		}
		for _, at := range []time.Time{mine.at, theirs.at} {
			if at = at.Add(-identifyTogether); at.After(since) {
				since = at
			}
		}
	}
	return since
}

// compare decides based on what is known so far.
func (r *rivalry) compare(pairs []pair) rotation.Rivals {
	var out rotation.Rivals
	for _, p := range pairs {
		mine, theirs := r.reaches(p.mine), r.reaches(p.theirs)
		rival := rotation.Rival{Secret: p.theirs.secret}
		shared := func(id string) bool {
			return slices.Contains(p.theirs.ids, id) || theirs.scope != "" && id == p.theirs.within(theirs.scope)
		}
		switch ids := p.mine.ids; {
		case slices.ContainsFunc(ids, shared), mine.scope != "" && shared(p.mine.within(mine.scope)):
			rival.Reason = fmt.Sprintf("another secret changes %s (%s) too%s", p.mine.Shown, r.at(p.mine), p.how)
			rival.Remedies = rota.Configure("secrets", "keep one secret for it")
			rival.Finding.Detail = fmt.Sprintf("%s (%s) is also used by secret %s (%s)%s: connections %s and %s reach the same account or server",
				p.mine.Shown, r.at(p.mine), p.theirs.secret, r.at(p.theirs), p.how, p.mine.Connection, p.theirs.Connection)
			rival.Finding.Remedies = rota.Configure("secrets", fmt.Sprintf("keep one secret for it: remove %s (%s) or %s (%s)", p.mine.secret, r.at(p.mine), p.theirs.secret, r.at(p.theirs)))
			out.Found = append(out.Found, rival)
		case mine.scope == "" || theirs.scope == "":
			unknown, err := p.mine, mine.err
			if mine.scope != "" {
				unknown, err = p.theirs, theirs.err
			}
			rival.Reason = fmt.Sprintf("whether another secret changes %s (%s) too isn't known", p.mine.Shown, r.at(p.mine))
			rival.Finding = rota.Finding{
				Warning:  true,
				Detail:   fmt.Sprintf("it isn't known whether %s (%s) is also used by secret %s (%s): %s", p.mine.Shown, r.at(p.mine), p.theirs.secret, r.at(p.theirs), err),
				Remedies: rota.RemediesOf(err),
			}
			if len(rival.Finding.Remedies) == 0 {
				rival.Finding.Remedies = rota.Outside(fmt.Sprintf("make sure that %s and %s are two accounts or servers, or let connection %s log in", p.mine.Connection, p.theirs.Connection, unknown.Connection))
			}
			out.Unknown = append(out.Unknown, rival)
		}
	}
	return out
}

// at returns the claim's position in the file.
func (r *rivalry) at(c contender) string {
	return fmt.Sprintf("%s:%d", cmp.Or(c.At.File, r.wiring.file.Path), c.At.Line)
}
