package redis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// LastUsed implements [rota.UseReporter] with the connections that the user has
// right now. Redis doesn't show which of the user's passwords a connection logged in
// with, so each may be using this one: only without any connection is it unused.
// Connections outlast the removal of their password, too.
func (u *user) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look for connections of user " + u.name
	issued, err := u.List(ctx)
	if err != nil {
		return rota.Use{}, err
	}
	if !slices.ContainsFunc(issued, func(i rota.Issued) bool { return i.ID == credentialID }) {
		return rota.Use{}, u.conn.stop(op, fmt.Errorf("%w: the user has no password %s", rota.ErrNotFound, credentialID), nil)
	}
	found := places{}
	err = u.conn.each(ctx, func(ctx context.Context, n *node) error {
		text, err := n.client.Do(ctx, "client", "list").Text()
		if err != nil {
			return u.conn.failed(ctx, n.at(op), err)
		}
		found.add(u.name, text)
		return nil
	})
	if err != nil {
		return rota.Use{}, err
	}
	use := rota.Use{Evidence: rota.EvidenceSampled, Ambiguous: true}
	if len(found) > 0 {
		use.At, use.Detail = time.Now().UTC(), found.describe()
	}
	return use, nil
}

// place is where connections come from: an address, and the name that the client
// gives itself.
type place struct{ host, name string }

// group are the connections from one place.
type group struct {
	count  int
	oldest time.Duration // how long the oldest has been open
}

type places map[place]group

// add counts a user's connections in the answer to CLIENT LIST.
func (p places) add(user, text string) {
	for line := range strings.Lines(text) {
		fields := map[string]string{}
		for pair := range strings.FieldsSeq(line) {
			if name, value, ok := strings.Cut(pair, "="); ok {
				fields[name] = value
			}
		}
		if fields["user"] != user {
			continue
		}
		at := place{name: fields["name"], host: fields["addr"]}
		if host, _, err := net.SplitHostPort(at.host); err == nil && host != "" {
			at.host = host
		}
		g := p[at]
		g.count++
		if seconds, err := strconv.Atoi(fields["age"]); err == nil {
			g.oldest = max(g.oldest, time.Duration(seconds)*time.Second)
		}
		p[at] = g
	}
}

// describe lists the connections. How long the oldest has been open says whether it
// was there before the password was replaced.
func (p places) describe() string {
	const most = 3
	sorted := slices.SortedFunc(maps.Keys(p), func(a, b place) int {
		return cmp.Or(cmp.Compare(p[b].count, p[a].count), cmp.Compare(a.host, b.host), cmp.Compare(a.name, b.name))
	})
	var texts []string
	for i, at := range sorted {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more places", len(sorted)-most))
			break
		}
		g := p[at]
		text := fmt.Sprintf("%d connections", g.count)
		if g.count == 1 {
			text = "1 connection"
		}
		if at.host != "" {
			text += " from " + at.host
		}
		if at.name != "" {
			text += ", name " + at.name
		}
		texts = append(texts, text+", open for up to "+rota.FormatDuration(g.oldest))
	}
	return strings.Join(texts, "; ")
}
