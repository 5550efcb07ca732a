package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// synced is delivered once what keeps the Secret in sync, such as External Secrets, has
// put the version there. A restart before that would bring back the old value, and pods
// that have it would look new.
func (r *Restart) synced(ctx context.Context, req rota.ReloadRequest) (delivered, error) {
	asked := false
	for last, lacks := (delivered{}), ""; ; {
		d, err := r.delivered(ctx, req)
		now := ""
		switch {
		case errors.Is(err, rota.ErrNotFound) && r.ExternalSecret != "":
			now, err = "isn't there yet", nil
		case err == nil:
			now = r.lacks(d, req)
		}
		switch {
		case err != nil && (ctx.Err() == nil || last.at.IsZero()), err == nil && now == "":
			return d, err
		case err == nil && !asked && r.ExternalSecret != "":
			if _, err := r.requestSync(ctx, false); err != nil {
				return d, err
			}
			asked, last, lacks = true, d, now
		case err == nil:
			last, lacks = d, now
			err = rota.Sleep(ctx, cmp.Or(r.Poll, defaultPoll))
		}
		if err == nil {
			continue
		}
		e := &rota.Error{System: r.Connection.System(), Connection: r.Connection.name, Op: "reload Secret " + r.Namespace + "/" + r.Secret, Class: rota.ClassWait, Err: ctx.Err()}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.Err = fmt.Errorf("it %s: %w", lacks, ctx.Err())
			if said := r.unsynced(ctx); said != "" {
				e.Err = fmt.Errorf("it %s; ExternalSecret %s says: %s: %w", lacks, r.ExternalSecret, last.said(said), ctx.Err())
			}
			e.Remedies = rota.Outside(r.syncHint(last))
		}
		return d, e
	}
}

// lacks says why a Secret that others write can't be counted on to have a version, ""
// if it has. Rota's own have it by the time that they're reloaded.
func (r *Restart) lacks(d delivered, req rota.ReloadRequest) string {
	if req.From.IsZero() || r.Secret == "" || r.NoWait || d.secret.isRotas() {
		return ""
	}
	if fields := r.proofs(req.Credential); len(fields) > 0 {
		if missing := d.secret.without(req.Credential, fields); len(missing) > 0 {
			return "doesn't hold the version's " + strings.Join(missing, " and ") + " yet: its last write was " + d.writtenText()
		}
		return ""
	}
	made, _ := r.Connection.clock.There(req.From)
	if d.at.Before(made.Add(-skew)) {
		return "hasn't been written since the version was made: its last write was " + d.writtenText()
	}
	return ""
}

func (d delivered) writtenText() string { return d.at.UTC().Format("2006-01-02 15:04:05 UTC") }

// minProof is how long a value must be for finding it in a Secret to mean anything.
const minProof = 8

// proofs are the fields of a credential that show which version a Secret has. A username
// often stays the same, and so may any field that Rota doesn't know; so if it knows
// none, all of them must be there.
func (r *Restart) proofs(c rota.Credential) []string {
	if r.ByWrite || len(r.Fields) > 0 {
		return r.Fields
	}
	var known, others []string
	for _, name := range c.Names() {
		switch {
		case len(c.Field(name)) < minProof || name == rota.FieldUsername || name == rota.FieldExpiration:
		case name == rota.FieldPassword || name == rota.FieldSecretAccessKey || name == rota.FieldSessionToken:
			known = append(known, name)
		default:
			others = append(others, name)
		}
	}
	if len(known) > 0 {
		return known
	}
	return others
}

// without are those of a credential's fields that no value of the Secret has.
func (s secret) without(c rota.Credential, fields []string) []string {
	return slices.DeleteFunc(slices.Clone(fields), func(field string) bool {
		value := c.Field(field)
		if value == "" {
			return false
		}
		for _, form := range formsOf(value) {
			for _, held := range s.Data {
				if strings.Contains(string(held), form) {
					return true
				}
			}
		}
		return false
	})
}

// formsOf are how a value looks in a Secret: by itself or in a text, in JSON, in a URL.
func formsOf(value string) []string {
	_, user, _ := strings.Cut(url.UserPassword("", value).String(), ":")
	forms := []string{value, strings.TrimSpace(value), url.QueryEscape(value), url.PathEscape(value), user, base64.StdEncoding.EncodeToString([]byte(value))}
	for _, html := range []bool{true, false} { // whether <, > and & are escaped, too
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(html)
		if e.Encode(value) == nil {
			forms = append(forms, strings.Trim(text.String(), "\"\n"))
		}
	}
	return slices.DeleteFunc(forms, func(form string) bool { return form == "" })
}

// isRotas reports whether Rota writes the Secret. The label alone could be anybody's.
func (s secret) isRotas() bool {
	return s.Metadata.Labels[labelManaged] == "true" && len(s.ours()) > 0
}

// syncHint is what a person can do about a Secret that isn't in sync.
func (r *Restart) syncHint(d delivered) string {
	hint := "see what keeps Secret " + r.Secret + " in sync"
	if r.ExternalSecret == "" {
		name := cmp.Or(d.secret.externalSecret(nil), "NAME")
		hint += "; if that's External Secrets, have Rota ask it to sync (external_secret: " + name + "), or do so now: kubectl annotate externalsecret " + name + " -n " + r.Namespace + " force-sync=$(date +%s) --overwrite"
	} else {
		hint += ": kubectl describe externalsecret " + r.ExternalSecret + " -n " + r.Namespace
	}
	return hint + "; if the Secret holds something made from the version, set synced_by: write; if nothing that Rota rotates gets there, set no_wait: true"
}
