//go:build linux

package canary

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rota-dev/rota/provider/cloudflare/cloudflaretest"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

const tokensConfig = `
connections:
  dashboards: {grafana: {url: "%[2]s", token: "${file:%[1]s/in/admin}"}}
  wrong-dashboards: {grafana: {url: "%[3]s", token: "${file:%[1]s/in/wrong}"}}
  zone: {cloudflare: {url: "%[4]s", token: "${file:%[1]s/in/admin}"}}
  wrong-zone: {cloudflare: {url: "%[5]s", token: "${file:%[1]s/in/wrong}"}}
  lab: {gitlab: {url: "%[6]s", token: "${file:%[1]s/in/lab}"}}
  vault: {vault: {address: "%[7]s", token: "${file:%[1]s/in/vault}"}}
  page: {command: {run: [%[1]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
  notify: [page]
secrets:
  - name: board
    issuer: {connection: dashboards, grafana_token: {service_account: "7", name: board}}
    targets: [{name: env, file: {path: %[1]s/targets/board.env, format: dotenv, fields: {TOKEN: token}}}]
    reload: [{name: board, command: {run: [%[1]s/in/spy.sh, board, %[1]s/targets/board.env]}}]
  - name: dns
    issuer: {connection: zone, cloudflare_token: {account: %[8]s, name: dns, policies: '[{"effect": "allow"}]'}}
    targets: [{name: env, file: {path: %[1]s/targets/dns.env, format: dotenv, fields: {TOKEN: token}}}]
    reload: [{name: board, command: {run: [%[1]s/in/spy.sh, board, %[1]s/targets/dns.env]}}]
  - name: cli
    issuer: {connection: lab, gitlab_rotated_token: {user: "7", name: cli}}
    reload: [{name: board, command: {run: [%[1]s/in/spy.sh, board]}}]
  - name: kept
    issuer: {connection: dashboards, grafana_token: {service_account: "7", name: kept}}
    store: {connection: vault, vault_kv: {mount: secret, path: apps/kept}}
  - {name: posted, issuer: {connection: zone, cloudflare_token: {account: %[8]s, name: posted, policies: '[{"effect": "allow"}]'}}}
  - {name: verified, issuer: {connection: zone, cloudflare_token: {account: %[8]s, name: verified, policies: '[{"effect": "allow"}]'}}}
  - {name: listed, issuer: {connection: zone, cloudflare_token: {account: %[8]s, name: listed, policies: '[{"effect": "allow"}]'}}}
  - {name: wrong-board, issuer: {connection: wrong-dashboards, grafana_token: {service_account: "7", name: wrong}}}
  - {name: wrong-dns, issuer: {connection: wrong-zone, cloudflare_token: {account: %[8]s, name: wrong, policies: '[{"effect": "allow"}]'}}}
`

// playTokens plays the lives of tokens at APIs over HTTP, of one that replaces the one
// before, and of one that's stored in Vault.
func playTokens(t *testing.T, l *ledger) {
	w := newWorld(t, l, "board", "dns", "cli", "posted", "verified", "listed")
	known := func(what, value string) string {
		w.secret(what, value)
		return value
	}
	board, zone, lab, engines := grafanatest.New(), cloudflaretest.New(), gitlabtest.New(), vaulttest.New()
	for _, server := range []interface{ Close() }{board, zone, lab, engines} {
		t.Cleanup(server.Close)
	}
	vaulttest.Of(engines).Do(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	first := known("GitLab's first token", lab.AddToken(gitlabtest.Token{Name: "cli", Scopes: []string{"read_api"}, UserID: 7, Level: gitlabtest.Developer}))
	number := lab.Tokens("user 7")[0].ID
	for name, value := range map[string]string{
		"admin": known("the token of Grafana's and Cloudflare's administrators", providertest.AdminToken),
		"wrong": known("a wrong administrator's token", "wrong-canary-5Hs8Kd2Pq"),
		"lab":   known("GitLab's administrator's token", gitlabtest.AdminToken),
		"vault": known("Vault's root token", vaulttest.RootToken),
	} {
		w.file("in/"+name, value, 0o600)
	}
	lines := map[string]*line{}
	args := []any{w.dir}
	for _, one := range []struct {
		name    string
		handler http.Handler
	}{
		{"Grafana", board.Config.Handler}, {"Grafana, wrong", board.Config.Handler}, {"Cloudflare", zone.Config.Handler}, {"Cloudflare, wrong", zone.Config.Handler},
		{"GitLab", lab.Config.Handler}, {"Vault", engines.Config.Handler},
	} {
		lines[one.name] = &line{next: one.handler, done: func(*http.Request) {}}
		listener := httptest.NewServer(lines[one.name])
		t.Cleanup(listener.Close)
		args = append(args, listener.URL)
	}
	w.file("rota.yaml", fmt.Sprintf(tokensConfig, append(args, cloudflaretest.Account)...), 0o600)

	// Grafana notes a use only every few minutes, so Rota waits that long after one.
	longUnused := func() {
		for _, token := range board.Tokens(grafanatest.Account) {
			board.Change(grafanatest.Account, token.ID, func(t *providertest.ServedToken) { t.Used = t.Used.Add(-time.Hour) })
		}
	}

	w.step("013", "check")
	w.keepOpen()
	w.stepWith(fmt.Sprintf(`{"token_id": "%d", "token": "%s"}`, number, first), "01", "adopt", "cli", "--from", "-")
	w.fails("board", true)
	w.step("013", "rotate", "board", "dns", "cli", "kept")
	w.fails("board", false)
	w.get("kept")
	for _, fault := range []struct{ at, what, secret string }{
		{"Grafana", "POST /api", "board"}, {"Grafana", "GET /api/service", "board"}, {"Grafana", "/api/user", "board"}, {"Grafana", "DELETE", "board"},
		{"Cloudflare", "PUT", "dns"}, {"Cloudflare", "DELETE", "dns"}, {"Cloudflare", "POST", "posted"}, {"Cloudflare", "/verify", "verified"}, {"Cloudflare", "GET", "listed"},
		{"GitLab", "/self", "cli"}, {"GitLab", "GET", "cli"}, {"GitLab", "/rotate", "cli"},
		{"Vault", "GET /v1/secret/data", "kept"}, {"Vault", "PUT /v1/secret/data", "kept"}, {"Vault", "POST /v1/secret/data", "kept"},
	} {
		longUnused()
		lines[fault.at].fail(fault.what)
		w.stepOnce("013", "rotate", fault.secret)
		lines[fault.at].fail("")
	}
	w.step("013", "rotate", "board", "dns", "cli", "kept", "posted", "verified", "listed")
	for _, name := range []string{"board", "dns", "cli", "kept"} {
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "rollback", name)
		w.stepOnce("013", "deliver", name)
		longUnused()
		w.stepOnce("013", "deactivate", name)
		w.stepOnce("013", "delete", name)
	}
	w.get("kept")
	for _, name := range []string{"wrong-board", "wrong-dns"} {
		w.step("013", "rotate", name)
		w.stepOnce("01", "check", name)
	}
	w.everyCommand()
	w.step("0123", "history", "kept")
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")

	for name, one := range lines {
		one.mu.Lock()
		w.wrote("the addresses at "+name, one.seen.Bytes())
		one.mu.Unlock()
	}
	for want, in := range map[string]string{"POST /api/serviceaccounts/7/tokens": "Grafana", "DELETE /api/serviceaccounts": "Grafana", "/verify": "Cloudflare", "PUT /accounts": "Cloudflare", "/rotate": "GitLab", "/secret/data/apps/kept": "Vault"} {
		if !bytes.Contains(lines[in].seen.Bytes(), []byte(want)) {
			t.Errorf("%s wasn't asked for %q: too little was tried", in, want)
		}
	}
	if n := len(board.Tokens(grafanatest.Account)) + len(zone.Tokens(cloudflaretest.Account)); n < 3 {
		t.Errorf("there are %d tokens: too few to look through", n)
	}
}
