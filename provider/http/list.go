package http

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// maxPages is how many pages of a list are read.
const maxPages = 200

// listed reads all pages of the list. An answer that isn't as described is an error,
// never an empty list: keys that aren't seen would be taken for gone.
func (k *key) listed(ctx context.Context) ([]rota.Issued, error) {
	l := k.cfg.List
	numbered, cursored := strings.Contains(l.Path, "{page}"), strings.Contains(l.Path, "{cursor}")
	sent := call{op: "list the keys", request: l.Request, own: true}
	var issued []rota.Issued
	cursor := ""
	for page := 1; page <= maxPages; page++ {
		sent.public = map[string]string{"page": strconv.Itoa(page), "cursor": cursor}
		answer, link, err := k.c.send(ctx, sent)
		if err != nil {
			return nil, err
		}
		found, ok := at(answer, l.Items)
		items, isList := found.([]any)
		if !ok || !isList {
			return nil, k.c.odd(sent, fmt.Sprintf("its answer has no list at %q", l.Items))
		}
		fresh := 0
		for _, item := range items {
			i, err := k.issued(sent, item)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(issued, func(x rota.Issued) bool { return x.ID == i.ID }) {
				issued = append(issued, i)
				fresh++
			}
		}
		switch {
		case numbered && fresh > 0:
			continue
		case numbered:
			return issued, nil
		case cursored:
			if cursor, _ = textAt(answer, l.Next); cursor == "" {
				return issued, nil
			}
		case link != "":
			if sent.request.Path, err = k.c.follow(link); err != nil {
				return nil, k.c.odd(sent, err.Error())
			}
		default:
			return issued, nil
		}
	}
	return nil, k.c.odd(sent, fmt.Sprintf("it has more than %d pages", maxPages))
}

// follow is the path of a next page, which must be below the connection's URL.
func (c *Connection) follow(link string) (string, error) {
	to, err := c.base.Parse(link)
	prefix := strings.TrimSuffix(c.base.EscapedPath(), "/")
	if err != nil || to.Host != c.base.Host || to.Scheme != c.base.Scheme || to.User != nil || !strings.HasPrefix(to.EscapedPath(), prefix+"/") ||
		slices.Contains(strings.Split(to.Path, "/"), "..") { // two dots that were encoded, which a server decodes
		return "", fmt.Errorf("its next page isn't below the connection's url")
	}
	rest := strings.TrimPrefix(to.EscapedPath(), prefix) // as the API wrote it: a%2Fb isn't a/b
	if to.RawQuery != "" {
		rest += "?" + to.RawQuery
	}
	return strings.NewReplacer("{", "{{", "}", "}}").Replace(rest), nil
}

// issued is one item of the list.
func (k *key) issued(sent call, item any) (rota.Issued, error) {
	l := k.cfg.List
	id, ok := textAt(item, l.ID)
	if !ok || id == "" {
		return rota.Issued{}, k.c.odd(sent, fmt.Sprintf("an item of its list has no text at %q", l.ID))
	}
	i := rota.Issued{ID: id, Active: true}
	if l.Active != "" {
		on, ok := textAt(item, l.Active)
		if !ok {
			return rota.Issued{}, k.c.odd(sent, fmt.Sprintf("an item of its list has no text at %q", l.Active))
		}
		i.Active = on == l.On
	}
	if name, ok := textAt(item, l.Name); ok && l.Name != "" {
		i.Mark = marked.FindString(name)
	}
	for path, into := range map[string]*time.Time{l.Created: &i.CreatedAt, l.Expires: &i.ExpiresAt, l.Used: &i.Use.At} {
		if path == "" {
			continue
		}
		t, err := timeAt(item, path)
		if err != nil {
			return rota.Issued{}, k.c.odd(sent, err.Error())
		}
		*into = t
	}
	if text, _ := textAt(item, l.Used); !i.Use.At.IsZero() {
		i.Use.At = latest(text, i.Use.At)
	}
	if l.Used != "" {
		i.Use.Evidence = rota.EvidenceRecorded
	}
	return i, nil
}

// latest is the last moment that a text which was read as a time can mean: a day
// without a time ends a day later, and a time without its zone may be any zone's.
func latest(text string, t time.Time) time.Time {
	const ahead = 12 * time.Hour // of the zone that's furthest behind UTC
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Add(24*time.Hour + ahead)
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if _, err := time.Parse(layout, text); err == nil {
			return t.Add(ahead)
		}
	}
	return t
}

// timeAt is a time in RFC 3339, or in seconds or milliseconds since 1970. It's zero
// if there is none. Anything else is an error: a use that can't be read must not
// count as none.
func timeAt(item any, path string) (time.Time, error) {
	found, ok := at(item, path)
	if !ok || found == "" {
		return time.Time{}, nil
	}
	switch x := found.(type) {
	case string:
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
			if t, err := time.Parse(layout, x); err == nil {
				if t.Year() <= 1 { // how some APIs write never
					return time.Time{}, nil
				}
				return t.UTC(), nil
			}
		}
	case json.Number:
		if n, err := strconv.ParseFloat(x.String(), 64); err == nil && n >= 0 {
			switch {
			case n == 0:
				return time.Time{}, nil
			case n > 1e11:
				return time.UnixMilli(int64(n)).UTC(), nil
			}
			return time.Unix(int64(n), 0).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("an item of its list has no time at %q", path)
}
